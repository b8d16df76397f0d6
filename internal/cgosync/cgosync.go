//go:build race && cgo

// Package cgosync tells the race detector that what a goroutine does now comes after
// what others did before they called C.
//
// The detector cannot see what C does. So the runtime treats each call of C as if it
// gave to, and afterwards took from, all the others. A goroutine that lets C code notify
// gives in that way; who was woken has made no call, and takes by making one here. This
// orders more than there is: it may hide a race between two goroutines that both call
// C, and invents none.
package cgosync

// static void nothing(void) {}
import "C"

// Acquire orders the caller after every call of C that has begun.
func Acquire() { C.nothing() }
