//go:build cgo

package foreign

// This file holds threads that are terminated in notifier_notify.

// #include "terminate.h"
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Wrecks are the ways to end notifier_notify before it returns. Each starts threads
// that notify the handles over and over, ends rounds of their calls at random
// moments, and returns how often they notified to the end.
var Wrecks = map[string]func(handles []uint64, rounds int) uint64{"terminated": terminate}

func terminate(handles []uint64, rounds int) uint64 {
	var calls C.uint64_t
	if err := C.foreign_terminate((*C.uint64_t)(unsafe.SliceData(handles)), C.int(len(handles)), C.int(rounds), &calls); err != 0 {
		panic(fmt.Sprint("foreign: no thread: ", syscall.Errno(err)))
	}
	return uint64(calls)
}
