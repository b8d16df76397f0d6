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
	// qemu's user-mode emulation says yes to any advice and takes none: so it does to
	// one that does not exist.
	if unix.Madvise(nil, -1) == nil {
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("madvise", unix.Madvise(unsafe.Slice((*byte)(p), size), advice))
}
