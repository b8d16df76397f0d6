package main

// This file measures what a thread that must not wait pays for a block that Go made,
// while Go collects garbage.

// #include "out.h"
import "C"

import (
	"context"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/ring"
)

func (b *bench) out() {
	s := b.section("Go to a thread that must not wait",
		"A C thread reads a block of 1,024 bytes every 50 µs, which a goroutine wrote, while another one runs runtime.GC all the time, with 32 MB of live pointers. Time of a single read, in C. The last way is a C program's: a C thread writes the same memory, and no goroutine runs. "+realTime())
	t := s.table("meanwhile", "way", "p50", "p99", "p99.9", "max", "Out's p99 is")
	heap := newGarbage(32 << 20)
	p99 := b.whileTheWorldStops(t, "runtime.GC", []timedCall{
		{"Out", outOfGo}, {"cgo call a block", blockByCallback}, {"pipe", blockByPipe}, {"mutex queue", blockByQueue}, {"Out, C writes, without Go", outOfC},
	})
	b.target("out", p99[0].against(p99[len(p99)-1]))
	runtime.KeepAlive(heap)
}

// outJob has a C thread read n blocks, and returns how long each read took.
func outJob(n int, set func(j *C.out_job)) []float64 {
	j := (*C.out_job)(C.calloc(1, C.sizeof_out_job))
	defer C.free(unsafe.Pointer(j))
	times := (*C.double)(C.calloc(C.size_t(n), 8))
	defer C.free(unsafe.Pointer(times))
	j.n, j.period, j.times = C.uint64_t(n), C.uint64_t(callPeriod.Nanoseconds()), times
	set(j)
	if C.out_start(j) != 0 {
		panic("bench: no thread")
	}
	C.out_join(j)
	v := make([]float64, n)
	for i, d := range unsafe.Slice((*float64)(times), n) {
		v[i] = d
	}
	return v
}

// withGarbage runs do while the collector does, and write as well, until its context
// ends.
func withGarbage(write func(ctx context.Context), do func() []float64) []float64 {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { write(ctx) })
	all.Go(func() {
		for ctx.Err() == nil {
			runtime.GC()
		}
	})
	defer all.Wait()
	defer cancel()
	return do()
}

var silence = make([]byte, C.OUT_BLOCK)

func outOfGo(n int) []float64 {
	o := must1(ring.NewOut(C.OUT_SIZE))
	defer o.Close()
	h := must1(o.Handle())
	return withGarbage(func(ctx context.Context) {
		for o.WriteWait(ctx, silence) == nil {
		}
	}, func() []float64 {
		return outJob(n, func(j *C.out_job) { j.way, j.out = C.OUT_READ, C.notifier_out(h) })
	})
}

func outOfC(n int) []float64 {
	w := (*C.out_writer)(C.calloc(1, C.sizeof_out_writer))
	defer C.free(unsafe.Pointer(w))
	h := C.out_writer_start(w)
	if h == 0 {
		panic("bench: no Out in C")
	}
	defer C.out_writer_stop(w)
	return outJob(n, func(j *C.out_job) { j.way, j.out = C.OUT_READ, h })
}

func blockByCallback(n int) []float64 {
	return withGarbage(func(ctx context.Context) {
		for {
			select {
			case blocks <- silence:
			case <-ctx.Done():
				return
			}
		}
	}, func() []float64 { return outJob(n, func(j *C.out_job) { j.way = C.OUT_CALLBACK }) })
}

func blockByPipe(n int) []float64 {
	var ends [2]int
	must(unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
	in := os.NewFile(uintptr(ends[1]), "pipe")
	must1(unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, C.OUT_SIZE))
	defer unix.Close(ends[0])
	return withGarbage(func(ctx context.Context) {
		context.AfterFunc(ctx, func() { _ = in.Close() })
		for {
			if _, err := in.Write(silence); err != nil {
				return
			}
		}
	}, func() []float64 {
		return outJob(n, func(j *C.out_job) { j.way, j.pipe = C.OUT_PIPE, C.int(ends[0]) })
	})
}

func blockByQueue(n int) []float64 {
	q := (*C.out_queue)(C.calloc(1, C.sizeof_out_queue)) // zeros are a mutex on Linux
	defer C.free(unsafe.Pointer(q))
	return withGarbage(func(ctx context.Context) {
		for ctx.Err() == nil {
			if C.out_queue_put(q, unsafe.Pointer(&silence[0])) == 0 {
				runtime.Gosched()
			}
		}
	}, func() []float64 { return outJob(n, func(j *C.out_job) { j.way, j.queue = C.OUT_QUEUE, q }) })
}
