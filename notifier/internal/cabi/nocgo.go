//go:build !cgo || !(linux || windows)

// Package cabi has nothing in this build, which is without C or its threads.
package cabi

// Available tells whether this build has C threads.
const Available = false

// Ways is empty: Available is false.
var Ways map[string]func(handles []uint64, rounds int) uint64
