package notifier

// This file says what NetBSD has: the self-pipe, and memory that a forked child
// sees as zeros. Its kqueue has EVFILT_USER since 10, but golang.org/x/sys does
// not know it.

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

var backends = []backend{{"pipe", kindPipe, openPipe}}

// wipeOnFork makes a forked child see zeros in b (minherit(2), since NetBSD 10;
// earlier ones say EINVAL).
func wipeOnFork(b []byte) bool {
	const inheritZero = 4 // MAP_INHERIT_ZERO in sys/mman.h
	_, _, errno := unix.Syscall(unix.SYS_MINHERIT, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), inheritZero)
	return errno == 0
}
