//go:build cgo

package main

// This file holds what a C thread calls when it announces its ticks by a cgo
// callback. It is apart from thread_cgo.go since cgo allows no C functions in a file
// that exports Go functions.

// #include <stdint.h>
import "C"

//export goTick
func goTick(since C.int64_t) {
	select {
	case calledBack <- int64(since):
	default:
	}
}
