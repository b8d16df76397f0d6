//go:build gc && ((linux && (amd64 || arm64)) || (darwin && amd64) || (windows && amd64))

// Package ccall calls C functions without cgo, for tests, and says which registers
// they changed that the ABI makes a callee keep. The functions run on the stack of
// a goroutine (on Windows, of a thread), with 64 KiB of it.
//
// Without it Available is false and Call panics.
package ccall

import (
	"fmt"
	"strings"
	"unsafe"
)

// Available tells whether there is a Call for this system.
const Available = true

// frame is known to ccall_*.s.
type frame struct {
	fn      unsafe.Pointer
	args    [6]uint64
	result  uint64
	changed uint64 // bit i: names[i]
}

// Call calls a C function with six arguments that are integers or pointers. It
// panics if the function changed a register that it must keep, the direction flag,
// or the mode of floating point.
func Call(fn unsafe.Pointer, args ...uint64) (result uint64) {
	f := frame{fn: fn}
	copy(f.args[:], args)
	call(&f)
	if f.changed != 0 {
		var changed []string
		for i, name := range names {
			if f.changed>>i&1 != 0 {
				changed = append(changed, name)
			}
		}
		panic(fmt.Sprint("ccall: the function changed ", strings.Join(changed, ", ")))
	}
	return f.result
}

// Checked is the address of the C function that Call calls, for threads of C. It takes
// a pointer to the function's address, its six arguments, its result, and a number that
// is not 0 if it changed a register: 9 words of 64 bits.
func Checked() unsafe.Pointer { return checkedEntry() }
