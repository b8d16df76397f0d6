package main

// This file holds what C threads call back with records.

import "C"

import (
	"bytes"
	"unsafe"
)

// sinks has the receivers by number. It is written before the threads that use it
// start.
var sinks []*recordSink

//export goRecord
func goRecord(id uint32, p unsafe.Pointer, n uintptr) {
	sinks[id].take(unsafe.Slice((*byte)(p), n))
}

//export goBatch
func goBatch(id uint32, p unsafe.Pointer, n uintptr) {
	sinks[id].batches <- bytes.Clone(unsafe.Slice((*byte)(p), n))
}
