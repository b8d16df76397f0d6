package identity

// This file holds the mark: the signal that F_SETSIG (fcntl(2)) would have the kernel
// send instead of SIGIO. It belongs to the open file and not to the descriptor, a new
// file has none, and it means nothing without O_ASYNC, which nobody sets here.

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

var marks atomic.Uint32

// mark gives the file a mark and returns it; 0 if a sandbox refuses that. Files that
// are noted one after another have different ones.
func mark(fd int) int {
	for range 3 { // qemu does not keep every number
		m := int(marks.Add(1)-1)%64 + 1
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, m); err != nil && err != unix.EINVAL {
			return 0
		}
		if marked(fd, m) {
			return m
		}
	}
	return 0
}

// marked reports whether the file at fd may be the one with the mark m.
func marked(fd, m int) bool {
	if m == 0 {
		return true
	}
	// It cannot block, so the scheduler is not told.
	now, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_GETSIG, 0)
	return errno != 0 && errno != unix.EBADF || errno == 0 && int(now) == m
}
