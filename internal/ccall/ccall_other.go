//go:build !gc || !((linux && (amd64 || arm64)) || (darwin && amd64) || (windows && amd64))

// Package ccall calls C functions without cgo, for tests: not on this system.
package ccall

import "unsafe"

// Available tells whether there is a Call for this system.
const Available = false

// Call panics: Available is false.
func Call(unsafe.Pointer, ...uint64) uint64 { panic("ccall: not on this system") }

// Checked panics: Available is false.
func Checked() unsafe.Pointer { panic("ccall: not on this system") }
