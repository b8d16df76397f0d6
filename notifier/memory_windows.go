package notifier

// This file holds where Windows gets the memory of a block from.

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapBlock returns a zeroed block at a multiple of 8 MiB. wiped is true: a
// process here never has a copy of another's memory.
//
// It reserves twice the alignment and commits the block inside; the rest stays
// reserved, since a reservation can only be given back whole. That takes 16 MiB
// of addresses and cannot race with others for an address, as reserving, freeing
// and reserving again would.
//
// All of the block is committed at once, 4.2 MiB: foreign code reads the
// generation of whatever index a handle has, and has no way to commit it first.
// Committed pages count against the system's limit, but have no memory behind
// them until they are touched: an idle poller touches some 20 KiB.
func mapBlock() (b *block, wiped bool, err error) {
	const align = 1 << blockShift
	p, err := virtualAlloc(0, 2*align, windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil, false, os.NewSyscallError("VirtualAlloc", err)
	}
	start, err := virtualAlloc((p+align-1)&^(align-1), blockSize, windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		_ = windows.VirtualFree(p, 0, windows.MEM_RELEASE)
		return nil, false, os.NewSyscallError("VirtualAlloc", err)
	}
	// Go vet takes a number that becomes a pointer for a mistake; this one is
	// no address of Go's.
	return *(**block)(unsafe.Pointer(&start)), true, nil
}

// unmapBlock frees a block that no handle was ever made for.
func unmapBlock(b *block) {
	var info windows.MemoryBasicInformation
	if windows.VirtualQuery(uintptr(unsafe.Pointer(b)), &info, unsafe.Sizeof(info)) == nil {
		_ = windows.VirtualFree(info.AllocationBase, 0, windows.MEM_RELEASE)
	}
}
