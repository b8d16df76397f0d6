package address

// This file holds VirtualAlloc.

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/windows"
)

// fits is a variable for tests.
var fits = Fits

// hint is where there is memory that fits, for a program without high addresses.
var hint atomic.Uint64

func init() { hint.Store(Least << 12) }

const mostTries = 100

// Alloc is VirtualAlloc, or a test's that fails.
type Alloc = func(address, size uintptr, kind, protect uint32) (uintptr, error)

// Map returns size bytes of zeroed memory at a multiple of align, which is a power of
// two. Unmap frees it.
//
// It reserves as much more as the alignment may take and commits what is asked for
// inside; the rest stays reserved, since a reservation can only be given back whole.
// That cannot race with others for an address, as reserving, freeing and reserving
// again would.
func Map(alloc Alloc, size, align uintptr) (unsafe.Pointer, error) {
	const granularity = 1 << 16 // of any address that VirtualAlloc gives
	more, kind, protect := uintptr(0), uint32(windows.MEM_RESERVE|windows.MEM_COMMIT), uint32(windows.PAGE_READWRITE)
	if align > granularity {
		more, kind, protect = align, windows.MEM_RESERVE, windows.PAGE_NOACCESS
	}
	p, err := alloc(0, size+more, kind, protect)
	if err != nil {
		return nil, os.NewSyscallError("VirtualAlloc", err)
	}
	for range mostTries {
		if fits(pointer(p)) || wide == 0 {
			break
		}
		if p != 0 {
			_ = windows.VirtualFree(p, 0, windows.MEM_RELEASE)
		}
		at := hint.Add(uint64(size+more+granularity-1) &^ (granularity - 1))
		if p, _ = alloc(uintptr(at), size+more, kind, protect); p == 0 {
			hint.Add(1 << 32) // something is there, and it may be large
		}
	}
	if !fits(pointer(p)) {
		if p != 0 {
			_ = windows.VirtualFree(p, 0, windows.MEM_RELEASE)
		}
		return nil, misfit(pointer(p))
	}
	if more == 0 {
		return pointer(p), nil
	}
	start, err := alloc((p+align-1)&^(align-1), size, windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		_ = windows.VirtualFree(p, 0, windows.MEM_RELEASE)
		return nil, os.NewSyscallError("VirtualAlloc", err)
	}
	return pointer(start), nil
}

// Unmap frees what Map returned.
func Unmap(p unsafe.Pointer) {
	var info windows.MemoryBasicInformation
	if windows.VirtualQuery(uintptr(p), &info, unsafe.Sizeof(info)) == nil {
		_ = windows.VirtualFree(info.AllocationBase, 0, windows.MEM_RELEASE)
	}
}

// pointer is a conversion that vet takes for a mistake: p is no address of Go's.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }
