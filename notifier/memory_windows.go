package notifier

// This file holds where Windows gets the memory of a block from.

import (
	"unsafe"

	"github.com/wakechan/wakechan/internal/address"
)

// mapBlock returns a zeroed block at a multiple of 8 MiB. wiped is true: a
// process here never has a copy of another's memory.
//
// All of the block is committed at once, 4.2 MiB: foreign code reads the
// generation of whatever index a handle has, and has no way to commit it first.
// Committed pages count against the system's limit, but have no memory behind
// them until they are touched: an idle poller touches some 20 KiB.
func mapBlock() (b *block, wiped bool, err error) {
	p, err := address.Map(virtualAlloc, blockSize, 1<<blockShift)
	return (*block)(p), true, err
}

// unmapBlock frees a block that no handle was ever made for.
func unmapBlock(b *block) { address.Unmap(unsafe.Pointer(b)) }
