//go:build unix

package chanadapter

// This file holds private memory: what every unix has, the control blocks of all,
// and the twin for data where there is nothing to map twice.

import (
	"os"
	"unsafe"

	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

type privateMemory struct{}

var _ ringMemory = privateMemory{}

func (privateMemory) control() (*ringControl, uint32, error) {
	p, pid, err := mapControls(uintptr(os.Getpagesize()))
	return (*ringControl)(p), pid, err
}

// mapControls returns memory for control blocks, and what their pid is to be.
func mapControls(size uintptr) (p unsafe.Pointer, pid uint32, err error) {
	p, err = unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, 0, os.NewSyscallError("mmap", err)
	}
	if forked.Zero(p, size) != nil {
		pid = uint32(os.Getpid())
	}
	return p, pid, nil
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
