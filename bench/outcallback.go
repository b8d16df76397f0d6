package main

// This file holds what the C thread calls back for a block.

import "C"

import "unsafe"

// blocks has what a goroutine synthesised.
var blocks = make(chan []byte, 16)

//export goBlock
func goBlock(p unsafe.Pointer) uintptr {
	select {
	case b := <-blocks:
		return uintptr(copy(unsafe.Slice((*byte)(p), len(b)), b))
	default:
		return 0
	}
}
