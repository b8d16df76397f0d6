//go:build cgo && unix

package foreign

// This file is the Go side of signals.h.

// #include "signals.h"
import "C"

import (
	"fmt"
	"syscall"
)

// SignalsAvailable tells whether this build has signal handlers and fork.
const SignalsAvailable = true

// Signal is the one whose handler Handle installs.
const Signal = syscall.SIGUSR2

// Handle makes Signal's handler, in C, notify h, in whatever thread it interrupts.
// The function returned undoes it and says what the handler has done. One at a
// time.
func Handle(h uint64) (undo func() Results) {
	if err := C.foreign_install_handler(C.uint64_t(h)); err != 0 {
		panic(fmt.Sprint("foreign: no handler: ", syscall.Errno(err)))
	}
	return func() Results {
		C.foreign_remove_handler()
		return Handled()
	}
}

// Handled says what the handler has done so far.
func Handled() Results {
	n := func(i int) uint64 { return uint64(C.foreign_handler_count(C.int(i))) }
	return Results{OK: n(0), Coalesced: n(1), Closed: n(2), Failed: n(3), Changed: n(4)}
}

// Interrupt sends Signal to the crowd's threads in turn.
func (c *Crowd) Interrupt(times int) { C.foreign_signal_crowd(c.crowd, C.uint64_t(times)) }

// InChild notifies h in a forked child, some times, and returns the last call's
// code: NOTIFIER_CLOSED is -1.
func InChild(h uint64, times int) (code int, err error) {
	switch code := int(C.foreign_fork_notify(C.uint64_t(h), C.int(times))); {
	case code == 256:
		return 0, fmt.Errorf("no child")
	case code >= 512:
		return 0, fmt.Errorf("the child died: %v", syscall.Signal(code-512))
	default:
		return code - 16, nil
	}
}
