package forked

// This file holds madvise(2).

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Zero is possible since Linux 4.14, for private memory.
func Zero(p unsafe.Pointer, size uintptr) error { return advise(p, size, unix.MADV_WIPEONFORK) }

// Drop is possible everywhere.
func Drop(p unsafe.Pointer, size uintptr) error { return advise(p, size, unix.MADV_DONTFORK) }

func advise(p unsafe.Pointer, size uintptr, advice int) error {
	b := unsafe.Slice((*byte)(p), size)
	// qemu's user-mode emulation says yes to any advice and takes none: so it does to
	// one that does not exist, for memory that does.
	if unix.Madvise(b, -1) == nil {
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("madvise", unix.Madvise(b, advice))
}
