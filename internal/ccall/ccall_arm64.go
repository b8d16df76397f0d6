//go:build gc && linux

package ccall

// This file has the names of what ccall_arm64.s checks, by their bit in
// frame.changed. R18 is the platform's and R28 the runtime's g.

import "unsafe"

var names = []string{
	"R18", "R19", "R20", "R21", "R22", "R23", "R24", "R25", "R26", "R27", "R28", "R29", "RSP", "FPCR",
	"F8", "F9", "F10", "F11", "F12", "F13", "F14", "F15",
}

// In ccall_arm64.s: the addresses of C functions.
func checkedEntry() unsafe.Pointer
func sumEntry() unsafe.Pointer
func changesEntry() unsafe.Pointer
