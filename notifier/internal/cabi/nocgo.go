//go:build !cgo || !linux

// Package cabi has nothing in this build, which is without C or its threads.
package cabi

// Available tells whether this build has C threads.
const Available = false

// Cancel panics: Available is false.
func Cancel([]uint64, int) uint64 { panic("cabi: built without cgo") }

// JumpOut panics: Available is false.
func JumpOut([]uint64, int) uint64 { panic("cabi: built without cgo") }
