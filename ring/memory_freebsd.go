package ring

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

// mapTwice maps such memory at p, and once more behind it, in place of what is there.
func mapTwice(p unsafe.Pointer, size uintptr) error {
	fd, err := sharedMemory()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // the mappings keep it
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return os.NewSyscallError("ftruncate", err)
	}
	for _, at := range []unsafe.Pointer{p, unsafe.Add(p, size)} {
		if _, err := unix.MmapPtr(fd, 0, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
			return os.NewSyscallError("mmap", err)
		}
	}
	return nil
}
