package main

// This file measures records from C threads: ring.Ring against what people
// use to get data into Go.

// #cgo CFLAGS: -I${SRCDIR}/../ring
// #include "records.h"
import "C"

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/ring"
	"golang.org/x/sys/unix"
)

const (
	nameRing           = "Ring"
	nameRingWait       = "Ring, threads that wait for room"
	nameRingBatches    = "Ring, Batches"
	nameRingChan       = "Ring, Chan"
	nameRingChanWait   = "Ring, Chan, threads that wait for room"
	nameGoChannel      = "goroutines and a Go channel"
	nameRingSingle     = "Ring, WithSingleProducer"
	nameRecordCallback = "a cgo callback a record"
	nameRecordPipe     = "a pipe"
	nameRecordBatch    = "a channel, one callback for 64"
	nameRecordFloor    = "one locked instruction and the bytes, nobody reads"
	nameRecordRead     = "the same, a C thread reads and zeroes"
	nameRecordSingle   = "no locked instruction, a C thread reads and zeroes"
)

// recordSink receives records. All of them are summed up, so that each is looked at.
type recordSink struct {
	count, sum atomic.Int64
	total      int64 // as many are due
	done       chan int64
	batches    chan []byte
}

// take is for one record that any thread brings.
func (s *recordSink) take(rec []byte) {
	s.sum.Add(*(*int64)(unsafe.Pointer(unsafe.SliceData(rec))))
	s.add(1)
}

func (s *recordSink) add(n int64) {
	if s.count.Add(n) == s.total {
		s.done <- foreignClock()
	}
}

// takeAll is for records that lie side by side.
func (s *recordSink) takeAll(b []byte, length int) {
	n, sum := int64(0), int64(0)
	for ; len(b) >= length; b = b[length:] {
		sum += *(*int64)(unsafe.Pointer(unsafe.SliceData(b)))
		n++
	}
	s.sum.Add(sum)
	if n > 0 {
		s.add(n)
	}
}

// carrier brings records of a length to a sink.
type carrier struct {
	name   string
	way    int
	target uint64
	length int
	sink   *recordSink // nil: no goroutine receives
	close  func()
	lost   func() uint64   // nil: none can be
	read   *C.record_floor // not nil: a C thread receives, and no goroutine
	pace   time.Duration   // not 0: each thread sends recordBatch records in that time, at most
	full   int64           // how often a thread found no room
}

func newSink() (*recordSink, uint64) {
	s := &recordSink{done: make(chan int64, 1), batches: make(chan []byte, 64)}
	sinks = append(sinks, s)
	return s, uint64(len(sinks) - 1)
}

func carriers(length, producers int) []*carrier {
	list := []*carrier{ringCarrier(nameRing, length), callbackCarrier(length), pipeCarrier(length), batchCarrier(length),
		waiting(nameRingWait, ringCarrier(nameRing, length)), typedCarrier(nameRingBatches, length),
		typedCarrier(nameRingChan, length), waiting(nameRingChanWait, typedCarrier(nameRingChan, length)),
		floorCarrier(nameRecordFloor, C.RECORD_FLOOR, length), floorCarrier(nameRecordRead, C.RECORD_FLOOR_READ, length)}
	if producers == 1 {
		list = append(list, ringCarrier(nameRingSingle, length, ring.WithSingleProducer()),
			floorCarrier(nameRecordSingle, C.RECORD_FLOOR_SINGLE, length))
	}
	return list
}

func ringCarrier(name string, length int, opts ...ring.Option) *carrier {
	s, _ := newSink()
	r := must1(ring.New(1<<20, opts...))
	h := must1(r.Handle())
	var reader sync.WaitGroup
	reader.Go(func() {
		for r.Wait(context.Background()) == nil {
			n, sum := int64(0), int64(0)
			for rec := range r.Records() {
				sum += *(*int64)(unsafe.Pointer(unsafe.SliceData(rec)))
				if n++; n == 64 {
					s.sum.Add(sum)
					s.add(n)
					n, sum = 0, 0
				}
			}
			s.sum.Add(sum)
			if n > 0 {
				s.add(n)
			}
		}
	})
	return &carrier{name: name, way: C.RECORD_RING, target: uint64(h), length: length, sink: s, lost: r.Lost,
		close: func() { must(r.Close()); reader.Wait() }}
}

// waiting has the threads wait for room.
func waiting(name string, c *carrier) *carrier {
	c.name, c.way, c.lost = name, C.RECORD_RING_WAIT, nil
	return c
}

// typedCarrier is a ring that is read as values.
func typedCarrier(name string, length int) *carrier {
	if length == 32 {
		return valuesCarrier[[4]int64](name, length)
	}
	return valuesCarrier[[32]int64](name, length)
}

func valuesCarrier[T [4]int64 | [32]int64](name string, length int) *carrier {
	s, _ := newSink()
	r := must1(ring.New(1 << 20))
	h := must1(r.Handle())
	take := func(values []T) {
		sum := int64(0)
		for i := range values {
			sum += *(*int64)(unsafe.Pointer(&values[i]))
		}
		s.sum.Add(sum)
		s.add(int64(len(values)))
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		if name == nameRingChan {
			for v := range ring.Chan[T](context.Background(), r, 1024) {
				s.sum.Add(*(*int64)(unsafe.Pointer(&v)))
				s.add(1)
			}
			return
		}
		for r.Wait(context.Background()) == nil {
			for values := range ring.Batches[T](r) {
				take(values)
			}
		}
	})
	return &carrier{name: name, way: C.RECORD_RING, target: uint64(h), length: length, sink: s, lost: r.Lost,
		close: func() { must(r.Close()); reader.Wait() }}
}

// goChannel has goroutines in place of C threads: what Chan is to be measured by.
func goChannel(length, producers int) func(n int) time.Duration {
	if length == 32 {
		return valuesChannel[[4]int64](producers)
	}
	return valuesChannel[[32]int64](producers)
}

func valuesChannel[T [4]int64 | [32]int64](producers int) func(n int) time.Duration {
	return func(n int) time.Duration {
		ch := make(chan T, 1024)
		start := time.Now()
		for range producers {
			go func() {
				var v T
				for i := range n {
					*(*int64)(unsafe.Pointer(&v)) = int64(i)
					ch <- v
				}
			}()
		}
		var s recordSink
		for range n * producers {
			v := <-ch
			s.sum.Add(*(*int64)(unsafe.Pointer(&v)))
			s.count.Add(1)
		}
		return time.Since(start)
	}
}

func callbackCarrier(length int) *carrier {
	s, id := newSink()
	return &carrier{name: nameRecordCallback, way: C.RECORD_CALLBACK, target: id, length: length, sink: s, close: func() {}}
}

func pipeCarrier(length int) *carrier {
	s, _ := newSink()
	var ends [2]int
	must(unix.Pipe2(ends[:], unix.O_CLOEXEC))
	must(unix.SetNonblock(ends[0], true))
	f := os.NewFile(uintptr(ends[0]), "pipe")
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 64<<10)
		have := 0
		for {
			n, err := f.Read(buf[have:])
			if err == io.EOF {
				return
			}
			must(err)
			have += n
			whole := have / length * length
			s.takeAll(buf[:whole], length)
			have = copy(buf, buf[whole:have])
		}
	})
	return &carrier{name: nameRecordPipe, way: C.RECORD_PIPE, target: uint64(ends[1]), length: length, sink: s,
		close: func() { must(unix.Close(ends[1])); reader.Wait(); must(f.Close()) }}
}

func batchCarrier(length int) *carrier {
	s, id := newSink()
	var reader sync.WaitGroup
	reader.Go(func() {
		for b := range s.batches {
			s.takeAll(b, length)
		}
	})
	return &carrier{name: nameRecordBatch, way: C.RECORD_BATCH, target: id, length: length, sink: s,
		close: func() { close(s.batches); reader.Wait() }}
}

func floorCarrier(name string, way, length int) *carrier {
	f := C.calloc(1, C.sizeof_record_floor)
	c := &carrier{name: name, way: way, target: uint64(uintptr(f)), length: length, close: func() { C.free(f) }}
	if way != C.RECORD_FLOOR {
		c.read = (*C.record_floor)(f)
	}
	return c
}

// expect prepares for n records. The function that it returns waits for them, and
// tells when all were there and what they add up to. It is nil if nobody receives.
func (c *carrier) expect(n int) func() (end, sum int64) {
	switch s := c.sink; {
	case c.read != nil:
		return c.startReader(n)
	case s == nil:
		return nil
	default:
		s.count.Store(0)
		s.sum.Store(0)
		s.total = int64(n)
		return func() (end, sum int64) {
			end = <-s.done
			return end, s.sum.Load()
		}
	}
}

// startReader is expect for a C thread that reads.
func (c *carrier) startReader(n int) func() (end, sum int64) {
	r := (*C.record_reader)(C.calloc(1, C.sizeof_record_reader))
	r.floor, r.n, r.length = c.read, C.int64_t(n), C.int64_t(c.length)
	if err := C.record_reader_start(r); err != 0 {
		panic(fmt.Sprint("pthread_create: ", unix.Errno(err)))
	}
	return func() (end, sum int64) {
		defer C.free(unsafe.Pointer(r))
		C.record_reader_join(r)
		return int64(r.end_ns), int64(r.sum)
	}
}

// run has so many threads send n records each, and returns the time from the
// first one's beginning until all were received, divided among the threads.
func (c *carrier) run(producers int) func(n int) time.Duration {
	return func(n int) time.Duration { return c.send(producers, n, 0, nil) / time.Duration(producers) }
}

func (c *carrier) send(producers, n int, period time.Duration, stamps []int64) time.Duration {
	receive := c.expect(producers * n)
	barrier := newBarrier(producers)
	threads := make([]*C.recorder, producers)
	for i := range threads {
		r := (*C.recorder)(C.calloc(1, C.sizeof_recorder))
		r.way, r.target, r.n, r.length = C.int(c.way), C.uint64_t(c.target), C.int64_t(n), C.int64_t(c.length)
		r.period_ns, r.pace_ns, r.barrier = C.int64_t(period), C.int64_t(c.pace), barrier.c
		if stamps != nil {
			r.stamps = (*C.int64_t)(unsafe.SliceData(stamps))
		}
		threads[i] = r
		if err := C.recorder_start(r); err != 0 {
			panic(fmt.Sprint("pthread_create: ", unix.Errno(err)))
		}
	}
	var end, sum int64
	if receive != nil {
		end, sum = receive()
	}
	start, sent := int64(math.MaxInt64), int64(0)
	for _, r := range threads {
		C.recorder_join(r)
		start = min(start, int64(r.start_ns))
		sent = max(sent, int64(r.end_ns))
		c.full += int64(r.full)
		C.free(unsafe.Pointer(r))
	}
	barrier.free()
	if receive == nil {
		return time.Duration(sent - start)
	}
	if want := int64(producers) * int64(n) * int64(n-1) / 2; sum != want {
		panic(fmt.Sprintf("%s: the records add up to %d instead of %d", c.name, sum, want))
	}
	return time.Duration(end - start)
}

// fewestRecords are sent at least, so that starting the threads counts for nothing.
const fewestRecords = 20_000

func (b *bench) records() {
	s := b.section("Records from C threads",
		"C threads send records in a loop, until a goroutine has all of them; it looks at each. The ways with no goroutine are what is left without all that the ring does for its users, nobody being woken and nothing checked: a reservation by a locked instruction, which other threads respect, and the bytes, which nobody reads; the same with a C thread that looks at each, and gives back zeroed memory, 64 KiB at once, as the ring's reader must; and that for a single thread, without the locked instruction. Those two are no bound: how far a reader stays behind decides how often a line of the cache goes from core to core and back. Time for one record, all threads together. A full ring (1 MiB) is tried again, but by threads that wait for room, as goroutines wait at a Go channel; how many such refusals came for 1,000 records stands in the last column. A ring gets full when its reader is slower than the threads, or is kept from its processor for as long as 1 MiB lasts them (some 0.5 ms of 32-byte records). One of 16 MiB would hold all that a round sends, and pay for memory that is in no cache.")
	t := s.table("bytes", "threads", "way", "time a record", "quartiles", "Ring takes", "full")
	paced := b.section("Records at a pace that the reader keeps up with",
		fmt.Sprintf("The same, but the threads together send as many records in a second as 0.7 of what Ring took from them above: %d at a time, and who is early sleeps. So the reader keeps up, but for moments in which several wake up at once, or it has no processor. A way that bears the pace takes as long as the pace. CPU is the process's, user and system. Refusals are counted for both ways here: one tries again, the other waits.", recordBatch)).
		table("bytes", "threads", "way", "time a record", "quartiles", "Ring takes", "CPU a record", "full")
	for _, length := range []int{32, 256} {
		for _, producers := range b.pick([]int{1, 2, 4}, []int{1, 2}) {
			list := carriers(length, producers)
			var contestants []contestant
			sent := make([]int, len(list))
			for i, c := range list {
				run := c.run(producers)
				contestants = append(contestants, contestant{name: c.name, run: func(n int) time.Duration {
					m := max(n, fewestRecords)
					sent[i] += m * producers
					return time.Duration(float64(run(m)) * float64(n) / float64(m))
				}})
			}
			channel := goChannel(length, producers)
			contestants = append(contestants, contestant{name: nameGoChannel, run: func(n int) time.Duration {
				m := max(n, fewestRecords)
				return time.Duration(float64(channel(m)) * float64(n) / float64(m))
			}})
			scores := b.compete(fmt.Sprintf("Records/bytes=%d/producers=%d", length, producers), b.rounds(30), b.length(30*time.Millisecond), contestants)
			for i, sc := range scores {
				m, full := sc.spread(), "-"
				if i < len(list) && list[i].lost != nil {
					refused := 1000 * float64(list[i].lost()) / float64(sent[i])
					full = fmt.Sprintf("%.3g", refused)
					if length == 32 && sc.name == nameRingSingle {
						b.target("ring-single-full", spread{refused, refused, refused})
					}
				}
				t.add(length, producers, sc.name, duration(m.median), quartiles(m), ratio(scores[0].against(sc)), full)
			}
			if length == 32 && producers == 1 {
				callback := find(scores, nameRecordCallback)
				b.target("ring-single", find(scores, nameRingSingle).against(callback))
				b.target("ring", scores[0].against(callback))
				b.floor("ring", find(scores, nameRecordRead).against(callback))
				b.floor("ring-single", find(scores, nameRecordSingle).against(callback))
			}
			b.atWorst("ring-batches", find(scores, nameRingBatches).against(scores[0]))
			b.atWorst("ring-chan", find(scores, nameRingChan).against(find(scores, nameGoChannel)))
			b.atWorst("ring-wait", b.recordsAtAPace(paced, length, producers, scores[0].spread().median,
				list[0], list[slices.IndexFunc(list, func(c *carrier) bool { return c.name == nameRingWait })]))
			for _, c := range list {
				c.close()
			}
		}
	}
	b.recordsWhileTheWorldStops()
}

// recordBatch is how many records threads send between two looks at the clock, if they have a pace.
const recordBatch = C.RECORD_BATCH_SIZE

// recordsAtAPace has threads send at 0.7 of the rate at which a record takes so many ns, and returns how
// long the second way takes by the first one's time.
func (b *bench) recordsAtAPace(t *table, length, producers int, ns float64, list ...*carrier) spread {
	contestants := make([]contestant, len(list))
	cpu, sent := make([]time.Duration, len(list)), make([]int, len(list))
	for i, c := range list {
		c.pace, c.full = time.Duration(ns*float64(producers)*recordBatch/0.7), 0
		contestants[i] = contestant{name: c.name, run: func(n int) time.Duration {
			m, before := max(n, fewestRecords), processCPU()
			took := c.run(producers)(m)
			cpu[i] += processCPU() - before
			sent[i] += m * producers
			return time.Duration(float64(took) * float64(n) / float64(m))
		}}
	}
	scores := b.compete(fmt.Sprintf("Paced/bytes=%d/producers=%d", length, producers), b.rounds(30), b.length(30*time.Millisecond), contestants)
	for i, sc := range scores {
		m := sc.spread()
		t.add(length, producers, sc.name, duration(m.median), quartiles(m), ratio(scores[0].against(sc)),
			duration(float64(cpu[i])/float64(sent[i])), fmt.Sprintf("%.3g", 1000*float64(list[i].full)/float64(sent[i])))
	}
	return scores[1].against(scores[0])
}

func (b *bench) recordsWhileTheWorldStops() {
	s := b.section("A record while the world stops",
		"A C thread sends a record of 32 bytes every 50 µs, and a goroutine does nothing but what the first column says, with 32 MB of live pointers. Time of a single call, in C. "+stopsNote+realTime())
	t := s.table("meanwhile", "way", "p50", "p99", "p99.9", "max", "Ring's p99 is")
	heap := newGarbage(32 << 20)
	for _, m := range []struct {
		name string
		do   func()
	}{
		{"runtime.GC", runtime.GC},
		{"runtime.ReadMemStats", func() { var m runtime.MemStats; runtime.ReadMemStats(&m) }},
	} {
		list := []*carrier{ringCarrier(nameRing, 32), callbackCarrier(32), pipeCarrier(32)}
		var calls []timedCall
		for _, c := range list {
			calls = append(calls, timedCall{c.name, func(n int) []float64 { return c.timedRecords(n, m.do) }})
		}
		p99 := b.whileTheWorldStops(t, m.name, calls)
		for _, c := range list {
			c.close()
		}
		b.target("ring-stopworld", p99[0].against(p99[1])) // the last one's stays
	}
	runtime.KeepAlive(heap)
}

// timedRecords sends n records while meanwhile runs in a loop, and returns how long
// each call took.
func (c *carrier) timedRecords(n int, meanwhile func()) []float64 {
	stamps := cNumbers(n)
	defer freeNumbers(stamps)
	stop := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				meanwhile()
			}
		}
	})
	c.send(1, n, callPeriod, stamps)
	close(stop)
	other.Wait()
	return floats(stamps)
}
