package wasmexport

// This file holds the exports for an Out. What a number that names none gives is said
// in ring.h.

import (
	"runtime"
	"unsafe"

	"github.com/wakechan/wakechan/internal/hostout"
)

//go:wasmexport notifier_out_read
func outRead(number uint64, buffer, capacity uint32) int32 {
	var buf []byte
	if capacity != 0 {
		buf = unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), buffer)), capacity)
	}
	n := hostout.Read(number, buf)
	yield()
	return int32(n)
}

//go:wasmexport notifier_out_peek
func outPeek(number uint64) int64 {
	rec := hostout.Peek(number)
	if rec == nil {
		return 0
	}
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(rec))))<<32 | int64(len(rec))
}

//go:wasmexport notifier_out_done
func outDone(number uint64) {
	hostout.Done(number)
	yield()
}

func yield() {
	for range yields {
		runtime.Gosched()
	}
}
