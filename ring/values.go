package ring

// This file holds the typed ways to read a Ring whose records are all one plain
// struct.

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Values returns the records that are there as values of T, as Records does,
// copied. T must be plain data of a fixed size, laid out as the producer has it:
// numbers, and arrays and structs of them. Anything that holds a pointer is
// refused, and so is bool, whose bytes other than 0 and 1 have no meaning in Go
// (take uint8): then there is one step, with an error that says why, and no other
// step has an error.
//
// A record that is not as long as a T is left out, and counted in Lost.
func Values[T any](r *Ring) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if err := plainRecord(reflect.TypeFor[T]()); err != nil {
			yield(zero, err)
			return
		}
		for rec := range r.Records() {
			if uintptr(len(rec)) != unsafe.Sizeof(zero) {
				r.lost.Add(1)
				continue
			}
			v := zero
			if len(rec) > 0 {
				v = *(*T)(unsafe.Pointer(unsafe.SliceData(rec))) // 8-byte aligned
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Batches returns the records that are there as values of T, many at a time: each step
// has those that were there, in order, at most 16 KiB of them or a quarter of the ring.
// They are copies, whose memory in the ring is given back before the step. The slice is
// used again by the next step: copy out of it what you keep. It ends as Records does, or
// with a batch after which there is no more. It is the quick way to read values.
//
// T is as for Values; Batches panics with the reason if it cannot be used. A record that
// is not as long as a T is left out, and counted in Lost. What a step has is read, also
// if the loop ends by break.
func Batches[T any](r *Ring) iter.Seq[[]T] {
	if err := plainRecord(reflect.TypeFor[T]()); err != nil {
		panic(err.Error())
	}
	return func(yield func([]T) bool) {
		size := unsafe.Sizeof(*new(T))
		r.batches(func(limit uintptr) bool {
			batch, ok := r.scratch.(*[]T)
			if !ok {
				s := make([]T, max(1, min(batchBytes, r.b.size/4)/spanOf(size)))
				batch = &s
				r.scratch = batch
			}
			for int(limit-r.next) > 0 {
				n := copyOut(r, *batch, limit)
				if n == 0 {
					if !r.passMisfits(size) {
						return !r.ended.Load()
					}
					continue
				}
				r.next += uintptr(n) * spanOf(size)
				if err := r.publish(); err != nil {
					r.end(err)
				}
				if !yield((*batch)[:n:n]) || r.ended.Load() {
					return false
				}
			}
			return true
		})
	}
}

// batchBytes is about how much of a ring a batch takes.
const batchBytes = 16 << 10

// copyOut copies records to batch, from the next one to limit, or to one that is not a T.
// It does not take them out of the ring.
func copyOut[T any](r *Ring, batch []T, limit uintptr) (n int) {
	b := r.b
	data, mask, reach := b.data, b.size-1, b.reach
	size := unsafe.Sizeof(batch[0])
	span, ready := spanOf(size), stateReady|uint32(size)
	for next := r.next; n < len(batch) && int(limit-next) > 0; next += span {
		h := unsafe.Add(data, next&mask)
		if atomic.LoadUint32(stateOf(h)) != ready || next&mask+span > reach ||
			atomic.LoadUint32(tagOf(h)) != tagAt(next) || r.stalling {
			break
		}
		r.raceRead(next)
		if size != 0 {
			batch[n] = *(*T)(unsafe.Add(h, headerSize)) // 8-byte aligned
		}
		n++
	}
	return n
}

// passMisfits takes records that are not of that size out of the ring. The result is
// false if there is none of that size behind them.
func (r *Ring) passMisfits(size uintptr) bool {
	for {
		rec, found, err := r.take()
		if err == nil && found && uintptr(len(rec)) != size {
			r.lost.Add(1)
			if err = r.drop(spanOf(uintptr(len(rec)))); err == nil {
				continue
			}
		}
		if err != nil {
			r.end(err)
		}
		return found && err == nil
	}
}

// Chan returns a channel with room for size values that gets the records of r as
// values of T, in order, until ctx is done or r ends; it is closed then, as range
// expects, and r.Err says whether it was r. The goroutine that fills it is r's
// reader: nobody else may read r meanwhile. While the channel is full the records
// wait in the ring, and what has not been sent at the end is still there.
//
// T is as for Values; Chan panics with the reason if it cannot be used. A record
// that is not as long as a T is counted in Lost and left out.
func Chan[T any](ctx context.Context, r *Ring, size int) <-chan T {
	if err := plainRecord(reflect.TypeFor[T]()); err != nil {
		panic(err.Error())
	}
	ch := make(chan T, size)
	go func() { // with the caller's profiler labels: it does that one's work
		defer close(ch)
		size := unsafe.Sizeof(*new(T))
		for ctx.Err() == nil && r.Wait(ctx) == nil {
			r.batches(func(limit uintptr) bool {
				for int(limit-r.next) > 0 {
					sent, goOn := sendSome(ctx, r, ch, limit)
					if err := r.drop(uintptr(sent) * spanOf(size)); err != nil {
						r.end(err)
					}
					if !goOn || r.ended.Load() {
						return false
					}
					if sent == 0 && !r.passMisfits(size) {
						return !r.ended.Load()
					}
				}
				return true
			})
		}
	}()
	return ch
}

// chanBatch is how many values Chan sends until it looks at its context, and gives memory
// back.
const chanBatch = 64

// sendSome sends records, from the next one to limit or to one that is not a T, out of the
// ring's memory, so that each is copied once. It does not take them out of the ring. goOn is
// false when ctx is done or r has ended.
func sendSome[T any](ctx context.Context, r *Ring, ch chan<- T, limit uintptr) (sent int, goOn bool) {
	if ctx.Err() != nil { // also while there is room
		return 0, false
	}
	b := r.b
	size := unsafe.Sizeof(*new(T))
	span, ready := spanOf(size), stateReady|uint32(size)
	for next := r.next; sent < chanBatch && int(limit-next) > 0; next += span {
		state, h := b.header(next)
		if state != ready || b.offset(next)+span > b.reach || atomic.LoadUint32(tagOf(h)) != tagAt(next) || r.stalling {
			break
		}
		r.raceRead(next)
		v := (*T)(unsafe.Add(h, headerSize)) // 8-byte aligned
		select {
		case ch <- *v:
			sent++
			continue
		default:
		}
		select {
		case ch <- *v:
			sent++
		case <-ctx.Done():
			return sent, false
		case <-r.Done():
			return sent, false
		}
	}
	return sent, true
}

// plainRecords remembers what plainRecord found out.
var plainRecords sync.Map // reflect.Type -> error or nil

func plainRecord(t reflect.Type) error {
	if err, known := plainRecords.Load(t); known {
		if err == nil {
			return nil
		}
		return err.(error)
	}
	var err error
	if where, what := unplain(t, t.String()); what != "" {
		err = fmt.Errorf("ring: %v cannot be a record: %s %s", t, where, what)
		plainRecords.Store(t, err)
	} else {
		plainRecords.Store(t, nil)
	}
	return err
}

// unplain returns where in t something is that foreign bytes cannot be, and what.
func unplain(t reflect.Type, name string) (where, what string) {
	switch t.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Int,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return "", ""
	case reflect.Array:
		return unplain(t.Elem(), name+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if where, what := unplain(f.Type, name+"."+f.Name); what != "" {
				return where, what
			}
		}
		return "", ""
	case reflect.Bool:
		return name, "is a bool, which has only two of its 256 values; take uint8"
	default:
		return name, "is a " + t.Kind().String() + ", which holds a pointer"
	}
}
