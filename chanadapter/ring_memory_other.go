//go:build !unix && !windows

package chanadapter

// This file stands for systems without foreign threads: on wasm the host may
// push between calls, elsewhere only goroutines do. Memory is Go's own, which
// does not move.

import "unsafe"

var ringMemories = []ringMemory{heapMemory{}}

type heapMemory struct{}

var _ ringMemory = heapMemory{}

// controls keeps the control blocks for ever. Under ringPool.mu.
var controls [][]uint64

func (heapMemory) control() (*ringControl, uint32, error) {
	const align = 1 << ringBaseShift
	b := make([]uint64, (align+ringControlSize)/8)
	controls = append(controls, b)
	p := unsafe.Pointer(&b[0])
	return (*ringControl)(unsafe.Add(p, -uintptr(p)&(align-1))), 0, nil
}

func (heapMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	return unsafe.Pointer(unsafe.SliceData(make([]uint64, size/8))), false, nil
}

func (heapMemory) free(unsafe.Pointer, uintptr, bool) {}
