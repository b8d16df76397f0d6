//go:build cgo

package cabi

// This file is cabi.go for Windows.

// #cgo CFLAGS: -I${SRCDIR}/../.. -std=gnu11 -O2
// #include "terminate.h"
import "C"

import (
	"fmt"
	"syscall"

	_ "github.com/wakechan/wakechan/notifier"
)

// Available tells whether this build has C threads.
const Available = true

// Ways are the ways to end notifier_notify before it returns. Each starts threads
// that notify the handles over and over, ends rounds of their calls at random
// moments, and returns how often they notified to the end.
var Ways = map[string]func(handles []uint64, rounds int) uint64{"terminated": terminate}

func terminate(handles []uint64, rounds int) uint64 {
	list := make([]C.uint64_t, len(handles))
	for i, h := range handles {
		list[i] = C.uint64_t(h)
	}
	var calls C.uint64_t
	if err := C.cabi_terminate(&list[0], C.int(len(list)), C.int(rounds), &calls); err != 0 {
		panic(fmt.Sprint("cabi: no thread: ", syscall.Errno(err)))
	}
	return uint64(calls)
}
