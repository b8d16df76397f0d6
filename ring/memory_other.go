//go:build !unix && !windows

package ring

// This file stands for systems without foreign threads: on wasm the host may
// push between calls, elsewhere only goroutines do. Memory is Go's own, which
// does not move.

import "unsafe"

var backings = []backing{heapMemory{}}

type heapMemory struct{}

var _ backing = heapMemory{}

// controls keeps the control blocks for ever. Under pool.mu.
var controls [][]uint64

func (heapMemory) control() (*control, uint32, error) {
	const align = 1 << baseShift
	b := make([]uint64, (align+controlSize)/8)
	controls = append(controls, b)
	p := unsafe.Pointer(&b[0])
	return (*control)(unsafe.Add(p, -uintptr(p)&(align-1))), 0, nil
}

func (heapMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	return unsafe.Pointer(unsafe.SliceData(make([]uint64, size/8))), false, nil
}

func (heapMemory) free(unsafe.Pointer, uintptr, bool) {}
