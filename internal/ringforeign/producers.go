//go:build cgo

package ringforeign

// This file is the Go side of producers.h. What that includes from other directories
// has a symbolic link here, see_*.h, so that the go command sees when it changes.

// #cgo CFLAGS: -DRINGFOREIGN -I${SRCDIR}/../foreign/c -I${SRCDIR}/../../ring -I${SRCDIR}/../../notifier -std=gnu11 -O2
// #cgo !windows LDFLAGS: -lpthread
// #include "producers.h"
// uint32_t ringforeign_patience = 3600000;
// int ringforeign_looks = 10;
import "C"

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Available tells whether this build has foreign threads.
const Available = true

// PushNow calls notifier_ring_push on the calling thread, and returns its code.
func PushNow(h uint64, data []byte) int {
	return int(C.notifier_ring_push(C.notifier_ring(h), unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))))
}

// TryNow calls notifier_ring_try.
func TryNow(h uint64, data []byte) int {
	return int(C.notifier_ring_try(C.notifier_ring(h), unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))))
}

// SetPatience sets after how many milliseconds notifier_ring_wait takes those for dead
// whose turn it is, until undo is called. As a rule of the tests it is an hour: else it
// would make up for a thread that is not woken. No thread may wait meanwhile.
func SetPatience(ms uint32) (undo func()) {
	before := C.ringforeign_patience
	C.ringforeign_patience = C.uint32_t(ms)
	return func() { C.ringforeign_patience = before }
}

// SetLooks sets how often notifier_ring_wait looks until it sleeps, until undo is called.
// No thread may wait meanwhile.
func SetLooks(n int) (undo func()) {
	before := C.ringforeign_looks
	C.ringforeign_looks = C.int(n)
	return func() { C.ringforeign_looks = before }
}

// WaitNow calls notifier_ring_wait, with a timeout in milliseconds; -1 is none.
func WaitNow(h uint64, n, timeout int) int {
	return int(C.notifier_ring_wait(C.notifier_ring(h), C.size_t(n), C.int(timeout)))
}

// ReserveNow calls notifier_ring_reserve. The memory is nil if the code is not OK.
func ReserveNow(h uint64, n int) (rec unsafe.Pointer, code int) {
	code = int(C.notifier_ring_reserve(C.notifier_ring(h), C.size_t(n), &rec))
	return rec, code
}

// CommitNow calls notifier_ring_commit.
func CommitNow(h uint64, rec unsafe.Pointer) int {
	return int(C.notifier_ring_commit(C.notifier_ring(h), rec))
}

// DiscardNow calls notifier_ring_discard.
func DiscardNow(h uint64, rec unsafe.Pointer) int {
	return int(C.notifier_ring_discard(C.notifier_ring(h), rec))
}

// Producer is a thread that sends records.
type Producer struct {
	paced bool
	mu    sync.Mutex
	p     *C.producing // nil after Wait
}

// Start makes the thread. Wait for it.
func (s Spec) Start() *Producer {
	if s.Least < Smallest || s.Most < s.Least || s.Most > 4096 {
		panic(fmt.Sprintf("ringforeign: lengths from %d to %d", s.Least, s.Most))
	}
	p := (*C.producing)(C.calloc(1, C.sizeof_producing))
	p.main = C.producer{
		ring: C.notifier_ring(s.Handle), id: C.uint32_t(s.ID), least: C.uint32_t(s.Least), most: C.uint32_t(s.Most),
		count: C.uint64_t(s.Count), how: C.int(s.How), random: C.uint64_t(s.ID + 1), ahead: C.uint32_t(s.Ahead),
	}
	if s.Keep {
		p.main.keep = 1
	}
	if s.Handler {
		p.handler = p.main
		p.handler.id += HandlerID
		p.handler.keep = 0
	}
	if err := C.producing_start(p); err != 0 {
		panic(fmt.Sprint("ringforeign: no thread: ", syscall.Errno(err)))
	}
	return &Producer{paced: s.Ahead != 0, p: p}
}

// WasRead tells a thread with Ahead that another of its records was read. It may be
// called while others Wait.
func (p *Producer) WasRead() {
	if !p.paced {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.p != nil {
		atomic.AddUint32((*uint32)(&p.p.main.read), 1)
	}
}

// Interrupt makes the handler send a record for each of so many signals, as far as
// they don't coalesce and the thread lives so long.
func (p *Producer) Interrupt(times int) { C.producing_interrupt(p.p, C.int(times)) }

// Wait returns when the thread has ended, with what it and its handler did.
func (p *Producer) Wait() (thread, handler Results) {
	C.producing_join(p.p)
	thread, handler = results(&p.p.main.results), results(&p.p.handler.results)
	p.mu.Lock()
	defer p.mu.Unlock()
	C.free(unsafe.Pointer(p.p))
	p.p = nil
	return thread, handler
}

func results(r *C.producer_results) Results {
	return Results{
		uint64(r.ok), uint64(r.coalesced), uint64(r.full), uint64(r.too_large), uint64(r.closed),
		uint64(r.invalid), uint64(r.failed), uint64(r.discarded), uint64(r.changed),
	}
}
