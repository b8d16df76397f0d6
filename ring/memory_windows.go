package ring

// This file holds where Windows gets a ring's memory from.

import (
	"os"
	"unsafe"

	"github.com/wakechan/wakechan/internal/address"
	"golang.org/x/sys/windows"
)

var backings = []backing{virtualMemory{}}

type virtualMemory struct{}

var _ backing = virtualMemory{}

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

func (virtualMemory) control() (*control, uint32, error) {
	p, err := address.Map(virtualAlloc, controlSize, 1<<baseShift)
	return (*control)(p), 0, err
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
