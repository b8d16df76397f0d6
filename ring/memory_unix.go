//go:build unix

package ring

// This file holds private memory: what every unix has, the control blocks of all,
// and the twin for data where there is nothing to map twice.

import (
	"os"
	"unsafe"

	"github.com/wakechan/wakechan/internal/address"
	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

type privateMemory struct{}

var _ backing = privateMemory{}

// controlsAtOnce are mapped together: a process may have so many mappings (65,530 on
// Linux), and these stay.
const controlsAtOnce = 64

// freshControls have not been used, and are to have that pid. Under pool.mu.
var (
	freshControls []byte
	freshPid      uint32
)

func (privateMemory) control() (*control, uint32, error) {
	size := os.Getpagesize() // a page each: retireControl gives back no less
	if len(freshControls) == 0 {
		p, pid, err := mapControls(uintptr(controlsAtOnce * size))
		if err != nil {
			return nil, 0, err
		}
		freshControls, freshPid = unsafe.Slice((*byte)(p), controlsAtOnce*size), pid
	}
	c := (*control)(unsafe.Pointer(unsafe.SliceData(freshControls)))
	freshControls = freshControls[size:]
	return c, freshPid, nil
}

// mapControls returns memory for control blocks, and what their pid is to be.
func mapControls(size uintptr) (p unsafe.Pointer, pid uint32, err error) {
	if p, err = address.Map(size, 1<<baseShift); err != nil {
		return nil, 0, err
	}
	if forked.Zero(p, size) != nil {
		pid = uint32(os.Getpid())
	}
	keepSmallPages(p, size)
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
