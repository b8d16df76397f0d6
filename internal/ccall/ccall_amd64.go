//go:build gc && (linux || darwin || windows)

package ccall

// This file has the names of what ccall_amd64.s checks, by their bit in
// frame.changed. On a unix, C functions may change SI, DI and X6 to X15.

import "unsafe"

var names = []string{
	"BX", "BP", "SI", "DI", "R12", "R13", "R14", "R15", "SP", "the direction flag", "MXCSR", "the x87 control word",
	"X6", "X7", "X8", "X9", "X10", "X11", "X12", "X13", "X14", "X15",
}

// In ccall_amd64.s: the addresses of C functions.
func checkedEntry() unsafe.Pointer
func sumEntry() unsafe.Pointer
func changesEntry() unsafe.Pointer
