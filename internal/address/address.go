// Package address gets memory whose address fits into the number that foreign code has
// of a notifier or a ring. notifier.h says under THE NUMBER what that must be like, so
// that a number which is none is told before any memory is touched.
package address

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Least and End bound the addresses that fit: bits 16 to 63 of a number. Nothing is
// ever mapped below 2^32 on a system with pointers of 64 bits but by accident, and
// below 2^47 there is room on every such system.
const (
	wide  = unsafe.Sizeof(uintptr(0)) / 8 // 1 if a pointer has 64 bits
	Least = uint64(1) << (23 + 9*wide)
	End   = uint64(1) << (32 + 15*wide)
)

// Fits reports whether memory there can be named. On wasm nothing follows an address:
// Go code compares it.
func Fits(p unsafe.Pointer) bool {
	a := uint64(uintptr(p))
	return Least <= a && a < End || runtime.GOARCH == "wasm" && a != 0
}

func misfit(p unsafe.Pointer) error {
	return fmt.Errorf("the system gave memory at %p, which does not fit a handle (%#x to %#x)", p, Least, End)
}
