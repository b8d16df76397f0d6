//go:build cgo && linux

// Package cabi has C threads that do not come back from notifier_notify: they
// are cancelled in it, or a signal handler jumps out of it. It is for tests.
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

// Cancel starts a thread that notifies the handles over and over, lets it be
// cancelled asynchronously at a random moment, and does so again, rounds times.
// It returns how often the threads notified to the end.
func Cancel(handles []uint64, rounds int) uint64 { return wreck(handles, rounds, 0) }

// JumpOut starts one such thread and interrupts it rounds times with a signal
// whose handler jumps out of notifier_notify.
func JumpOut(handles []uint64, rounds int) uint64 { return wreck(handles, rounds, 1) }

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
