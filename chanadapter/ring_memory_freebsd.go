package chanadapter

// This file holds where FreeBSD gets memory from that can be mapped twice.

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedMemory returns a descriptor of memory without a name (SHM_ANON of
// shm_open(2)), which is close-on-exec, as shm_open's are.
func sharedMemory() (int, error) {
	const shmAnon = 1 // from sys/mman.h
	fd, _, errno := unix.Syscall(unix.SYS_SHM_OPEN, shmAnon, unix.O_RDWR, 0)
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
