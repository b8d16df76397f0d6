//go:build cgo && linux

// Package cabi has C threads that do not come back from notifier_notify: they
// are cancelled or terminated in it, or a signal handler jumps out of it. It is
// for tests.
package cabi

// It imports notifier so that the go command compiles it anew when notifier.h,
// which that embeds, has changed: it does not see what the C code includes.

// #cgo CFLAGS: -I${SRCDIR}/../.. -std=gnu11 -O2
// #cgo LDFLAGS: -lpthread
// #include "threads.h"
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
var Ways = map[string]func(handles []uint64, rounds int) uint64{
	// Threads that are cancelled asynchronously.
	"cancelled": func(handles []uint64, rounds int) uint64 { return wreck(handles, rounds, 0) },
	// A thread that a signal interrupts, whose handler jumps out.
	"jumped out": func(handles []uint64, rounds int) uint64 { return wreck(handles, rounds, 1) },
}

func wreck(handles []uint64, rounds int, jump C.int) uint64 {
	list := make([]C.uint64_t, len(handles))
	for i, h := range handles {
		list[i] = C.uint64_t(h)
	}
	var calls C.uint64_t
	if err := C.cabi_wreck(&list[0], C.int(len(list)), C.int(rounds), jump, &calls); err != 0 {
		panic(fmt.Sprint("cabi: no thread: ", syscall.Errno(err)))
	}
	return uint64(calls)
}
