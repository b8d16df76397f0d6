//go:build unix

package chanadapter

// This file holds private memory: what every unix has, the control blocks of all,
// and the twin for data where there is nothing to map twice.

import (
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

type privateMemory struct{}

var _ ringMemory = privateMemory{}

func (privateMemory) control() (*ringControl, error) {
	list, err := mapControls(1)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// mapControls returns n control blocks, in a row and each at the beginning of a page.
func mapControls(n int) ([]*ringControl, error) {
	page := uintptr(os.Getpagesize())
	size := uintptr(n) * page
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	pid := uint32(0)
	if forked.Zero(p, size) != nil {
		pid = uint32(os.Getpid())
	}
	list := make([]*ringControl, n)
	for i := range list {
		list[i] = (*ringControl)(unsafe.Add(p, uintptr(i)*page))
		if pid != 0 {
			atomic.StoreUint32(&list[i].pid, pid)
		}
	}
	return list, nil
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
