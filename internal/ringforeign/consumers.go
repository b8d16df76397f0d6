//go:build cgo

package ringforeign

// This file is the Go side of consumers.h.

// #include "consumers.h"
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// OutReadNow calls notifier_out_read on the calling thread.
func OutReadNow(h uint64, buf []byte) int {
	return int(C.notifier_out_read(C.notifier_out(h), unsafe.Pointer(unsafe.SliceData(buf)), C.size_t(len(buf))))
}

// OutPeekNow calls notifier_out_peek. The record is nil if there is none.
func OutPeekNow(h uint64) []byte {
	var rec unsafe.Pointer
	n := C.notifier_out_peek(C.notifier_out(h), &rec)
	return unsafe.Slice((*byte)(rec), int(n))
}

// OutDoneNow calls notifier_out_done.
func OutDoneNow(h uint64) { C.notifier_out_done(C.notifier_out(h)) }

// Consumer is a thread that reads an Out.
type Consumer struct{ c *C.consuming }

// Start makes the thread. Stop it.
func (s ConsumerSpec) Start() *Consumer {
	c := (*C.consuming)(C.calloc(1, C.sizeof_consuming))
	c.main.out, c.main.how, c.interrupt = C.notifier_out(s.Handle), C.int(s.How), C.int(s.Interrupt)
	c.handler.out = c.main.out // its how is ConsumeRead: the thread may hold a record
	if err := C.consuming_start(c); err != 0 {
		panic(fmt.Sprint("ringforeign: no thread: ", syscall.Errno(err)))
	}
	return &Consumer{c}
}

// Interrupt sends so many signals, as far as they don't coalesce.
func (c *Consumer) Interrupt(times int) { C.consuming_signal(c.c, C.int(times)) }

// Stop has the thread read what is left, and returns when it has ended.
func (c *Consumer) Stop() (thread, handler ConsumerResults) {
	C.consuming_join(c.c)
	thread, handler = consumed(&c.c.main), consumed(&c.c.handler)
	thread.Jumps = uint64(c.c.jumps)
	C.free(unsafe.Pointer(c.c))
	return thread, handler
}

func consumed(c *C.consumer) ConsumerResults {
	return ConsumerResults{Read: uint64(c.read), Again: uint64(c.again), Wrong: uint64(c.wrong), Changed: uint64(c.changed)}
}
