//go:build !cgo

package ringforeign

// This file is producers.go's twin for builds without cgo: it compiles.

import "unsafe"

// Available tells whether this build has foreign threads.
const Available = false

const missing = "ringforeign: built without cgo"

// PushNow panics: Available is false.
func PushNow(uint64, []byte) int { panic(missing) }

// TryNow panics: Available is false.
func TryNow(uint64, []byte) int { panic(missing) }

// SetPatience panics: Available is false.
func SetPatience(uint32) (undo func()) { panic(missing) }

// SetLooks panics: Available is false.
func SetLooks(int) (undo func()) { panic(missing) }

// WaitNow panics: Available is false.
func WaitNow(uint64, int, int) int { panic(missing) }

// ReserveNow panics: Available is false.
func ReserveNow(uint64, int) (unsafe.Pointer, int) { panic(missing) }

// CommitNow panics: Available is false.
func CommitNow(uint64, unsafe.Pointer) int { panic(missing) }

// DiscardNow panics: Available is false.
func DiscardNow(uint64, unsafe.Pointer) int { panic(missing) }

// Producer cannot be made: Available is false.
type Producer struct{}

// Start panics: Available is false.
func (Spec) Start() *Producer { panic(missing) }

// Interrupt panics: Available is false.
func (*Producer) Interrupt(int) { panic(missing) }

// WasRead panics: Available is false.
func (*Producer) WasRead() { panic(missing) }

// Wait panics: Available is false.
func (*Producer) Wait() (thread, handler Results) { panic(missing) }
