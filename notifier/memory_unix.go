//go:build unix

package notifier

// This file holds where a unix gets the memory of a block from.

import (
	"unsafe"

	"github.com/wakechan/wakechan/internal/address"
	"github.com/wakechan/wakechan/internal/forked"
	"golang.org/x/sys/unix"
)

// mapBlock maps a zeroed block at a multiple of 8 MiB. wiped tells whether a
// forked child sees zeros in its place. It is private memory: a child that is
// not wiped has a copy, and cannot harm its parent's.
func mapBlock() (b *block, wiped bool, err error) {
	start, err := address.Map(mapSize, 1<<blockShift)
	if err != nil {
		return nil, false, err
	}
	preferSmallPages(unsafe.Slice((*byte)(start), mapSize))
	return (*block)(start), forked.Zero(start, mapSize) == nil, nil
}

// mapSize is whole pages, whatever their size.
const mapSize = (blockSize + 1<<16 - 1) &^ (1<<16 - 1)

// unmapBlock frees a block that no handle was ever made for.
func unmapBlock(b *block) {
	_ = unix.MunmapPtr(unsafe.Pointer(b), mapSize)
}
