package chanadapter

// This file holds where Windows gets a ring's memory from.

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

var ringMemories = []ringMemory{virtualMemory{}}

type virtualMemory struct{}

var _ ringMemory = virtualMemory{}

// virtualAlloc is a variable for tests: no limit that they could set makes it fail.
var virtualAlloc = windows.VirtualAlloc

func allocate(size uintptr) (unsafe.Pointer, error) {
	p, err := virtualAlloc(0, size, windows.MEM_RESERVE|windows.MEM_COMMIT, windows.PAGE_READWRITE)
	if err != nil {
		return nil, os.NewSyscallError("VirtualAlloc", err)
	}
	// Not Go's memory; said in a way that vet's unsafeptr check can follow.
	return *(*unsafe.Pointer)(unsafe.Pointer(&p)), nil
}

func (virtualMemory) control() (*ringControl, uint32, error) {
	p, err := allocate(ringControlSize)
	return (*ringControl)(p), 0, err
}

func (virtualMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	p, err := allocate(size)
	if err != nil {
		return nil, false, err
	}
	clear(unsafe.Slice((*byte)(p), size)) // a producer that must not wait takes no page fault
	return p, false, nil
}

func (virtualMemory) free(p unsafe.Pointer, _ uintptr, _ bool) {
	_ = windows.VirtualFree(uintptr(p), 0, windows.MEM_RELEASE)
}
