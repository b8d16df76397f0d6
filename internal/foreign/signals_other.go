//go:build !cgo || !unix

package foreign

// This file is signals_unix.go's twin for the builds without it: it compiles.

// SignalsAvailable tells whether this build has signal handlers and fork.
const SignalsAvailable = false

// Signal is none: SignalsAvailable is false.
const Signal = 0

// Handle panics: SignalsAvailable is false.
func Handle(uint64) func() Results { panic("foreign: no signals") }

// Handled panics: SignalsAvailable is false.
func Handled() Results { panic("foreign: no signals") }

// Interrupt panics: SignalsAvailable is false.
func (*Crowd) Interrupt(int) { panic("foreign: no signals") }

// InChild panics: SignalsAvailable is false.
func InChild(uint64, int) (int, error) { panic("foreign: no signals") }
