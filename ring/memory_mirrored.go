//go:build linux || freebsd

package ring

// This file holds data that is mapped twice in a row, where memory can be shared
// that has no name: mapTwice is the system's own. The control block is private memory
// (memory_unix.go).

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

var backings = []backing{mirroredMemory{}, privateMemory{}}

type mirroredMemory struct{ privateMemory }

var _ backing = mirroredMemory{}

// mostMirrored is how many rings are mapped twice at a time. Each takes two of the
// mappings that a process may have (65,530, vm.max_map_count of proc(5)), and Go itself
// ends when it gets none. Further rings have private memory, which the kernel keeps in
// one mapping with its neighbours.
const mostMirrored = 8192

var mirroredRings atomic.Int32

var (
	errManyMirrored = fmt.Errorf("ring: %d rings are mapped twice already", mostMirrored)
	errNoMirror     = errors.New("ring: the second mapping shows other memory than the first")
)

func (mirroredMemory) data(size uintptr) (_ unsafe.Pointer, _ bool, err error) {
	defer func() {
		if err != nil {
			mirroredRings.Add(-1)
		}
	}()
	if mirroredRings.Add(1) > mostMirrored {
		return nil, false, errManyMirrored
	}
	// Reserve the addresses, then put the memory in twice.
	p, err := unix.MmapPtr(-1, 0, nil, 2*size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, false, os.NewSyscallError("mmap", err)
	}
	if err = mapTwice(p, size); err == nil {
		// A child would share it: who carried a reservation over a fork faults there,
		// and does not write into its parent's record.
		err = forked.Drop(p, 2*size)
	}
	if err == nil && !isMirror(p, size) {
		err = errNoMirror // of an emulator
	}
	if err != nil {
		_ = unix.MunmapPtr(p, 2*size)
		return nil, false, err
	}
	return p, true, nil
}

// isMirror reports whether the second half of the memory is the first once more. It
// writes to every page of both, so that a producer takes no page fault.
func isMirror(p unsafe.Pointer, size uintptr) bool {
	is := true
	for at := uintptr(0); at < size; at += uintptr(os.Getpagesize()) {
		first, second := (*uint32)(unsafe.Add(p, at)), (*uint32)(unsafe.Add(p, size+at))
		atomic.StoreUint32(first, 1)
		is = is && atomic.SwapUint32(second, 0) == 1 && atomic.LoadUint32(first) == 0
	}
	return is
}

func (mirroredMemory) free(p unsafe.Pointer, size uintptr, _ bool) {
	_ = unix.MunmapPtr(p, 2*size)
	mirroredRings.Add(-1)
}
