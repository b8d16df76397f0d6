package chanadapter

// This file holds where Linux gets memory from that can be mapped twice.

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedMemory returns a descriptor of memory without a name (memfd_create(2)).
func sharedMemory() (int, error) {
	fd, err := unix.MemfdCreate("wakechan-ring", unix.MFD_CLOEXEC)
	return fd, os.NewSyscallError("memfd_create", err)
}

// mapShared maps it in place of what is at p. MAP_POPULATE: a producer that must not
// wait takes no page fault.
func mapShared(fd int, p unsafe.Pointer, size uintptr) error {
	_, err := unix.MmapPtr(fd, 0, p, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED|unix.MAP_POPULATE)
	return os.NewSyscallError("mmap", err)
}
