package notifier

// This file says what FreeBSD has: EVFILT_USER (kqueue(2), since 8.1), the
// self-pipe, and memory that a forked child sees as zeros.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

var backends = []backend{
	{"kqueue", kindKqueue, openKqueue},
	{"pipe", kindPipe, openPipe},
}

// wipeOnFork makes a forked child see zeros in b (minherit(2), since FreeBSD 12).
func wipeOnFork(b []byte) bool {
	const inheritZero = 3 // INHERIT_ZERO in sys/mman.h
	_, _, errno := unix.Syscall(unix.SYS_MINHERIT, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), inheritZero)
	return errno == 0
}
