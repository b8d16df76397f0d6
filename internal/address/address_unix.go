//go:build unix

package address

// This file holds mmap(2).

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fits is a variable for tests.
var fits = Fits

// hint is where there is memory that fits, for a system that gives it elsewhere by
// itself: Linux on arm64, whose addresses have 48 bits; valgrind, which begins at the
// bottom. What is mapped there moves it on, and the system looks elsewhere when
// something else is there already.
var hint atomic.Uint64

func init() { hint.Store(Least << 14) }

const mostTries = 100

// Map returns size bytes of zeroed private memory at a multiple of align, which is a
// power of two. size is a multiple of the page size.
func Map(size, align uintptr) (start unsafe.Pointer, err error) {
	more, protection := uintptr(0), unix.PROT_READ|unix.PROT_WRITE
	if align > uintptr(os.Getpagesize()) {
		more, protection = align, unix.PROT_NONE
	}
	var at uint64
	for range mostTries {
		// Reserve enough to find such a multiple inside, give back the rest.
		p, err := unix.MmapPtr(-1, 0, *(*unsafe.Pointer)(unsafe.Pointer(&at)), size+more, protection, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return nil, os.NewSyscallError("mmap", err)
		}
		head := -uintptr(p) & (align - 1)
		start = unsafe.Add(p, head)
		unmap(p, head)
		unmap(unsafe.Add(start, size), more-head)
		if fits(start) {
			break
		}
		unmap(start, size)
		if wide == 0 {
			return nil, misfit(start)
		}
		at = hint.Add(uint64(size + more))
	}
	if !fits(start) {
		return nil, misfit(start)
	}
	if more == 0 {
		return start, nil
	}
	if err := unix.Mprotect(unsafe.Slice((*byte)(start), size), unix.PROT_READ|unix.PROT_WRITE); err != nil {
		unmap(start, size)
		return nil, os.NewSyscallError("mprotect", err)
	}
	return start, nil
}

// unmap frees what was just mapped, which cannot fail.
func unmap(p unsafe.Pointer, size uintptr) {
	if size > 0 {
		_ = unix.MunmapPtr(p, size)
	}
}
