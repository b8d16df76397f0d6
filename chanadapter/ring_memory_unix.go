//go:build unix

package chanadapter

// This file holds private memory: what every unix has, the control blocks of all,
// and the twin for data where there is nothing to map twice.

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

type privateMemory struct{}

var _ ringMemory = privateMemory{}

func (privateMemory) control() (*ringControl, error) {
	p, err := mapWiped(uintptr(os.Getpagesize()))
	return (*ringControl)(p), err
}

// mapWiped returns zeroed memory that a forked child sees zeros in, where the system
// can do that.
func mapWiped(size uintptr) (unsafe.Pointer, error) {
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	if err := wipeOnFork(unsafe.Slice((*byte)(p), size)); err != nil && wipesOnFork() {
		// As it does other memory: a child would have a copy that points to data which
		// it must not touch.
		_ = unix.MunmapPtr(p, size)
		return nil, err
	}
	return p, nil
}

func (privateMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, false, os.NewSyscallError("mmap", err)
	}
	clear(unsafe.Slice((*byte)(p), size)) // a producer that must not wait takes no page fault
	return p, false, nil
}

func (privateMemory) free(p unsafe.Pointer, size uintptr, _ bool) {
	_ = unix.MunmapPtr(p, size)
}
