package chanadapter

// This file holds where FreeBSD gets memory from that can be mapped twice.

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedMemory returns a descriptor of memory without a name (SHM_ANON of
// shm_open(2)).
func sharedMemory() (int, error) {
	const (
		shmAnon  = 1       // from sys/mman.h
		shmOpen2 = 571     // from sys/syscall.h: what libc's shm_open calls
		since    = 1300048 // from libc; a call that a kernel lacks ends the process (SIGSYS)
	)
	if version, err := unix.SysctlUint32("kern.osreldate"); err != nil || version < since {
		return -1, errors.ErrUnsupported
	}
	fd, _, errno := unix.Syscall6(shmOpen2, shmAnon, unix.O_RDWR|unix.O_CLOEXEC, 0, 0, 0, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("shm_open", errno)
	}
	return int(fd), nil
}

// mapShared maps it in place of what is at p.
func mapShared(fd int, p unsafe.Pointer, size uintptr) error {
	if _, err := unix.MmapPtr(fd, 0, p, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	clear(unsafe.Slice((*byte)(p), size)) // a producer that must not wait takes no page fault
	return nil
}
