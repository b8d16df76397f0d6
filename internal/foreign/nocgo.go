//go:build !cgo

package foreign

// This file is threads.go's and calls.go's twin for builds without cgo: it compiles.

import "unsafe"

// Available tells whether this build has foreign threads.
const Available = false

const missing = "foreign: built without cgo"

// Notify panics: Available is false.
func Notify(uint64) Results { panic(missing) }

// OnThread panics: Available is false.
func OnThread(uint64, int) Results { panic(missing) }

// Once panics: Available is false.
func Once([]uint64) Results { panic(missing) }

// Thread cannot be made: Available is false.
type Thread struct{}

// Start panics: Available is false.
func Start() *Thread { panic(missing) }

// Notify panics: Available is false.
func (*Thread) Notify(uint64, int) Results { panic(missing) }

// End panics: Available is false.
func (*Thread) End() { panic(missing) }

// Crowd cannot be made: Available is false.
type Crowd struct{}

// Storm panics: Available is false.
func Storm([]uint64, int, int, bool) *Crowd { panic(missing) }

// Muster panics: Available is false.
func Muster([]uint64, int, int, bool) *Crowd { panic(missing) }

// Rounds panics: Available is false.
func Rounds([]uint64, int, int, bool) *Crowd { panic(missing) }

// Published panics: Available is false.
func (*Crowd) Published(int) uint64 { panic(missing) }

// Cell panics: Available is false.
func (*Crowd) Cell(int) uint64 { panic(missing) }

// Open panics: Available is false.
func (*Crowd) Open(int) { panic(missing) }

// Stop panics: Available is false.
func (*Crowd) Stop() { panic(missing) }

// Wait panics: Available is false.
func (*Crowd) Wait() Results { panic(missing) }

// Close panics: Available is false.
func (*Crowd) Close() { panic(missing) }

// Calls panics: Available is false.
func Calls(_, _ unsafe.Pointer, _ [6]uint64, _ uint64, _, _ int) uint64 { panic(missing) }
