//go:build !cgo || !unix

package ringforeign

// This file stands for builds without fork.

import "unsafe"

// Forks tells whether there is InChild.
const Forks = false

// InChild panics: Forks is false.
func InChild(uint64, unsafe.Pointer) (codes [5]int, ok bool) {
	panic("ringforeign: no fork")
}
