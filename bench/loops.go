package main

// This file holds libuv and libev, the event loops of C, as rivals: see loops.h.
// Their receivers are callbacks on a C thread, so no goroutine is woken at all.

// #cgo CFLAGS: -O2 -Wall -Wno-unused-function -I${SRCDIR}/../notifier
// #cgo LDFLAGS: -lpthread -ldl
// #include "loops.h"
import "C"

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

type loopLibrary struct {
	name string
	lib  C.int
}

// loopLibraries returns those that are installed.
func loopLibraries() []loopLibrary {
	var list []loopLibrary
	for _, l := range []loopLibrary{{"libuv uv_async_send", C.LIB_UV}, {"libev ev_async_send", C.LIB_EV}} {
		if C.loop_available(l.lib) != 0 {
			list = append(list, l)
		}
	}
	return list
}

// loopNote tells the report which there are.
func loopNote() string {
	list := loopLibraries()
	if len(list) == 0 {
		return "libuv and libev are not installed (libuv1-dev, libev-dev), so they are missing here."
	}
	note := "C's event loops: "
	for i, l := range list {
		if i > 0 {
			note += ", "
		}
		note += fmt.Sprintf("%s %s", l.name[:5], C.GoString(C.loop_version(l.lib)))
	}
	return note + "; who receives there is a C callback, not a goroutine."
}

// inThread runs f, which blocks in C, on a thread of its own, which ends with it:
// f may change the thread.
func inThread(f func() C.int64_t) time.Duration {
	result := make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		result <- time.Duration(f())
	}()
	return <-result
}

// loopOf is a loop with n handles, running if asked for.
func (l loopLibrary) loop(n int, running bool) *C.loop {
	c := C.loop_open(l.lib, C.int64_t(n))
	if running {
		C.loop_start(c)
	}
	return c
}

func (l loopLibrary) handleSize() float64 { return float64(C.loop_handle_size(l.lib)) }

func closeLoop(c *C.loop) { C.loop_close(c) }

// loopSends is what producersOf is, with one handle of c as the target.
func loopSends(c *C.loop, producers int) func(n int) time.Duration {
	return func(n int) time.Duration {
		bar := newBarrier(producers)
		var sum atomic.Int64
		var sending sync.WaitGroup
		for range producers {
			sending.Go(func() {
				sum.Add(int64(inThread(func() C.int64_t { return C.loop_sends(c, C.int64_t(n), bar.c) })))
			})
		}
		sending.Wait()
		bar.free()
		return time.Duration(sum.Load() / int64(producers))
	}
}

func loopRoundTrips(c *C.loop) func(n int) time.Duration {
	return func(n int) time.Duration {
		return inThread(func() C.int64_t { return C.loop_round_trips(c, warmUp, C.int64_t(n)) })
	}
}

// loopBursts counts wake-ups, as crowd.bursts does.
func loopBursts(c *C.loop, k int) func(n int) time.Duration {
	return func(n int) time.Duration {
		bursts := max(1, n/k)
		took := inThread(func() C.int64_t { return C.loop_bursts(c, C.int64_t(k), C.int64_t(bursts)) })
		return took * time.Duration(n) / time.Duration(bursts*k)
	}
}

func loopTicks(c *C.loop) func(n int, period time.Duration) sample {
	return func(n int, period time.Duration) sample {
		stamps, seen, sent := cNumbers(n), cNumbers(n), cNumbers(1)
		began := processCPU()
		inThread(func() C.int64_t {
			C.loop_ticks(c, C.int64_t(n), C.int64_t(period), (*C.int64_t)(unsafe.SliceData(stamps)),
				(*C.int64_t)(unsafe.SliceData(seen)), (*C.atomic_number)(unsafe.Pointer(unsafe.SliceData(sent))))
			return 0
		})
		s := sample{latencies: slices.Clone(seen), cpu: processCPU() - began}
		freeNumbers(stamps)
		freeNumbers(seen)
		freeNumbers(sent)
		return s
	}
}
