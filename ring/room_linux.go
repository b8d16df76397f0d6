package ring

// This file holds how Linux wakes threads that sleep in notifier_ring_wait.

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/futex.h.
const (
	futexWake        = 1
	futexPrivateFlag = 128
)

// wakeAll wakes the threads that sleep on the word: futex(2).
func wakeAll(word *uint32) {
	_, _, _ = unix.Syscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake|futexPrivateFlag, math.MaxInt32)
}
