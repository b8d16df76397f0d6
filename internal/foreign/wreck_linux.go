//go:build cgo

package foreign

// This file holds threads that do not come back from notifier_notify: they are
// cancelled in it, or a signal handler jumps out of it.

// #include "wreck.h"
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Wrecks are the ways to end notifier_notify before it returns. Each starts threads
// that notify the handles over and over, ends rounds of their calls at random
// moments, and returns how often they notified to the end.
var Wrecks = map[string]func(handles []uint64, rounds int) uint64{
	// Threads that are cancelled asynchronously.
	"cancelled": func(handles []uint64, rounds int) uint64 { return wreck(handles, rounds, 0) },
	// A thread that a signal interrupts, whose handler jumps out.
	"jumped out": func(handles []uint64, rounds int) uint64 { return wreck(handles, rounds, 1) },
}

func wreck(handles []uint64, rounds int, jump C.int) uint64 {
	var calls C.uint64_t
	if err := C.foreign_wreck((*C.uint64_t)(unsafe.SliceData(handles)), C.int(len(handles)), C.int(rounds), jump, &calls); err != 0 {
		panic(fmt.Sprint("foreign: no thread: ", syscall.Errno(err)))
	}
	return uint64(calls)
}
