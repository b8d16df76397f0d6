//go:build linux || freebsd

package chanadapter

// This file holds data that is mapped twice in a row, where memory can be shared
// that has no name: sharedMemory and mapShared are the system's own. The control
// block is private memory (ring_memory_unix.go).

import (
	"os"
	"unsafe"

	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

var ringMemories = []ringMemory{mirroredMemory{}, privateMemory{}}

type mirroredMemory struct{ privateMemory }

var _ ringMemory = mirroredMemory{}

func (mirroredMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	fd, err := sharedMemory()
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = unix.Close(fd) }() // the mappings keep it
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, false, os.NewSyscallError("ftruncate", err)
	}
	// Reserve the addresses, then put the memory in twice.
	p, err := unix.MmapPtr(-1, 0, nil, 2*size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, false, os.NewSyscallError("mmap", err)
	}
	for _, at := range []unsafe.Pointer{p, unsafe.Add(p, size)} {
		err := mapShared(fd, at, size)
		if err == nil {
			// A child would share it: who carried a reservation over a fork faults there,
			// and does not write into its parent's record.
			err = forked.Drop(at, size)
		}
		if err != nil {
			_ = unix.MunmapPtr(p, 2*size)
			return nil, false, err
		}
	}
	return p, true, nil
}

func (mirroredMemory) free(p unsafe.Pointer, size uintptr, _ bool) {
	_ = unix.MunmapPtr(p, 2*size)
}
