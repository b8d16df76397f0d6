//go:build cgo

package foreign

// This file is the Go side of threads.h.
//
// The go command looks for changes in the files of this directory only, and
// notifier.h and thread.h lie in others. So see_notifier.h and see_thread.h are
// symbolic links to them, which nothing includes. Without the links, the go command
// would use an old build.

// #cgo CFLAGS: -I${SRCDIR}/../../notifier -std=gnu11 -O2
// #cgo !windows LDFLAGS: -lpthread
// #include "threads.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Available tells whether this build has foreign threads.
const Available = true

func results(r *C.foreign_results) Results {
	var err error
	if r.failed > 0 {
		err = syscall.Errno(r.error)
	}
	return Results{
		uint64(r.ok), uint64(r.coalesced), uint64(r.closed), uint64(r.invalid), uint64(r.failed),
		uint64(r.changed), err,
	}
}

// Notify calls notifier_notify on the calling thread, which is one of Go's.
func Notify(h uint64) Results {
	var r C.foreign_results
	C.foreign_notify(&r, C.uint64_t(h))
	return results(&r)
}

// OnThread makes a thread that notifies h some times and ends.
func OnThread(h uint64, times int) Results {
	var r C.foreign_results
	if err := C.foreign_on_thread(C.uint64_t(h), C.uint64_t(times), &r); err != 0 {
		panic(fmt.Sprint("foreign: no thread: ", syscall.Errno(err)))
	}
	return results(&r)
}

// Once makes a thread that notifies each of the handles once, in their order, and
// ends.
func Once(handles []uint64) Results {
	var r C.foreign_results
	if err := C.foreign_once((*C.uint64_t)(unsafe.SliceData(handles)), C.uint64_t(len(handles)), &r); err != 0 {
		panic(fmt.Sprint("foreign: no thread: ", syscall.Errno(err)))
	}
	return results(&r)
}

// Thread is a thread that notifies when it is told to.
type Thread struct {
	worker *C.foreign_worker
	died   func()
}

// Start makes a Thread. End it.
func Start() *Thread {
	w := C.foreign_new_worker()
	if w == nil {
		panic("foreign: no thread")
	}
	return &Thread{w, born()}
}

// Notify makes the thread notify h some times, and returns when it has. It is
// for one goroutine at a time.
func (t *Thread) Notify(h uint64, times int) Results {
	var r C.foreign_results
	C.foreign_order(t.worker, C.uint64_t(h), C.uint64_t(times), &r)
	return results(&r)
}

// End ends the thread, and returns when it has ended.
func (t *Thread) End() {
	C.foreign_end_worker(t.worker)
	t.died()
}

// Crowd is some threads that notify on their own.
type Crowd struct {
	crowd          *C.foreign_crowd
	threads, count int
	died           func()
	joined         bool
}

// Storm is Muster with the storm let loose.
func Storm(handles []uint64, threads, each int, release bool) *Crowd {
	c := Muster(handles, threads, each, release)
	c.Open(1)
	return c
}

// Muster makes threads that, from Open(1) on, notify handles in a random order,
// each some times, or until Stop if that is 0. Before it notifies, a thread counts
// in a word that Published reads, with a release store or a relaxed one: nothing
// but notifier_notify orders that for the receiver.
func Muster(handles []uint64, threads, each int, release bool) *Crowd {
	return crowd(handles, threads, each, 0, release)
}

// Rounds makes threads that wait for Open; in each round every one of them
// publishes the round's number in its Cell and notifies once: thread i handle
// number i modulo their count.
func Rounds(handles []uint64, threads, rounds int, release bool) *Crowd {
	return crowd(handles, threads, 0, rounds, release)
}

func crowd(handles []uint64, threads, each, rounds int, release bool) *Crowd {
	var r C.int
	if release {
		r = 1
	}
	c := C.foreign_new_crowd((*C.uint64_t)(unsafe.SliceData(handles)), C.uint64_t(len(handles)),
		C.uint64_t(threads), C.uint64_t(each), C.uint64_t(rounds), r)
	if c == nil {
		panic("foreign: no threads")
	}
	return &Crowd{crowd: c, threads: threads, count: len(handles), died: born()}
}

// Published returns how often handle number i was about to be notified so far.
func (c *Crowd) Published(i int) uint64 {
	var sum uint64
	words := unsafe.Slice((*uint64)(unsafe.Pointer(c.crowd.published)), c.threads*c.count)
	for t := range c.threads {
		sum += atomic.LoadUint64(&words[t*c.count+i])
	}
	return sum
}

// Cell returns the number of the last round that thread t published.
func (c *Crowd) Cell(t int) uint64 {
	cells := unsafe.Slice(c.crowd.cells, c.threads)
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&cells[t].value)))
}

// Open lets rounds up to this one begin; the first is 1, and so is a storm.
func (c *Crowd) Open(round int) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&c.crowd.gate)), uint64(round))
}

// Stop makes the threads end soon.
func (c *Crowd) Stop() { C.foreign_stop_crowd(c.crowd) }

// Wait returns when all threads have ended.
func (c *Crowd) Wait() Results {
	var r C.foreign_results
	C.foreign_join_crowd(c.crowd, &r)
	c.joined = true
	c.died()
	return results(&r)
}

// Close frees the memory, after Wait; without that it stops and waits itself.
func (c *Crowd) Close() {
	if !c.joined {
		c.Stop()
		c.Wait()
	}
	C.foreign_free_crowd(c.crowd)
}
