//go:build unix

package notifier

// This file holds where a unix gets the memory of a block from.

import (
	"os"
	"unsafe"

	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

// mapBlock maps a zeroed block at a multiple of 8 MiB. wiped tells whether a
// forked child sees zeros in its place. It is private memory: a child that is
// not wiped has a copy, and cannot harm its parent's.
func mapBlock() (b *block, wiped bool, err error) {
	const align = 1 << blockShift
	// Reserve enough to find a multiple of 8 MiB inside, give back the rest.
	p, err := unix.MmapPtr(-1, 0, nil, 2*align, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, false, os.NewSyscallError("mmap", err)
	}
	head := -uintptr(p) & (align - 1)
	size := (blockSize + 1<<16 - 1) &^ (1<<16 - 1) // whole pages, whatever their size
	if head > 0 {
		_ = unix.MunmapPtr(p, head)
	}
	start := unsafe.Add(p, head)
	_ = unix.MunmapPtr(unsafe.Add(start, size), 2*align-head-size)
	bytes := unsafe.Slice((*byte)(start), size)
	if err := unix.Mprotect(bytes, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		_ = unix.MunmapPtr(start, size)
		return nil, false, os.NewSyscallError("mprotect", err)
	}
	preferSmallPages(bytes)
	return (*block)(start), forked.Zero(start, size) == nil, nil
}

// unmapBlock frees a block that no handle was ever made for.
func unmapBlock(b *block) {
	_ = unix.MunmapPtr(unsafe.Pointer(b), (blockSize+1<<16-1)&^(1<<16-1))
}
