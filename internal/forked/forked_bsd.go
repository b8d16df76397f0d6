//go:build freebsd || netbsd

package forked

// This file holds minherit(2).

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Zero is possible since FreeBSD 12 and NetBSD 10; earlier ones say EINVAL.
func Zero(p unsafe.Pointer, size uintptr) error { return minherit(p, size, inheritZero) }

// Drop is possible everywhere.
func Drop(p unsafe.Pointer, size uintptr) error { return minherit(p, size, inheritNone) }

func minherit(p unsafe.Pointer, size, inherit uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_MINHERIT, uintptr(p), size, inherit); errno != 0 {
		return os.NewSyscallError("minherit", errno)
	}
	return nil
}
