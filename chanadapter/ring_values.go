package chanadapter

// This file holds the typed ways to read a Ring whose records are all one plain
// struct.

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"unsafe"
)

// Values returns the records that are there as values of T, as Records does,
// copied. T must be plain data of a fixed size, laid out as the producer has it:
// numbers, and arrays and structs of them. Anything that holds a pointer is
// refused, and so is bool, whose bytes other than 0 and 1 have no meaning in Go
// (take uint8): then there is one step, with an error that says why.
//
// A record that is not as long as a T gives an error for that step, and is
// counted in Lost; the next step goes on behind it.
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
				if !yield(zero, fmt.Errorf("chanadapter: a record of %d bytes, where a %T has %d", len(rec), zero, unsafe.Sizeof(zero))) {
					return
				}
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

// Chan returns a channel with room for size values that gets the records of r as
// values of T, in order, until ctx is done or r ends; it is closed then, as range
// expects, and r.Err says whether it was r. The goroutine that fills it is r's
// reader: nobody else may read r meanwhile. While the channel is full the records
// wait in the ring.
//
// T is as for Values; Chan panics with the reason if it cannot be used. A record
// that is not as long as a T is counted in Lost and left out.
func Chan[T any](ctx context.Context, r *Ring, size int) <-chan T {
	if err := plainRecord(reflect.TypeFor[T]()); err != nil {
		panic(err.Error())
	}
	ch := make(chan T, size)
	go func() {
		defer close(ch)
		for ctx.Err() == nil && r.Wait(ctx) == nil {
			for v, err := range Values[T](r) {
				if err != nil {
					continue
				}
				if ctx.Err() != nil { // Values does not end while producers keep up
					r.lost.Add(1)
					return
				}
				select {
				case ch <- v:
					continue
				default:
				}
				select {
				case ch <- v:
				case <-ctx.Done():
					r.lost.Add(1) // it was read, and reached nobody
					return
				case <-r.Done():
					r.lost.Add(1)
					return
				}
			}
		}
	}()
	return ch
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
		err = fmt.Errorf("chanadapter: %v cannot be a record: %s %s", t, where, what)
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
