//go:build cgo

package foreign

// This file is the Go side of calls.h.

// #include "calls.h"
import "C"

import "unsafe"

// Calls calls a C function each times on every one of so many threads, or with 0 threads
// on the calling one, and returns how many calls did not return expected, or changed a
// register that they must keep. checked is ccall.Checked.
func Calls(checked, function unsafe.Pointer, arguments [6]uint64, expected uint64, threads, each int) (wrong uint64) {
	return uint64(C.foreign_calls(checked, function, (*C.uint64_t)(unsafe.Pointer(&arguments)), C.uint64_t(expected),
		C.uint64_t(threads), C.uint64_t(each)))
}
