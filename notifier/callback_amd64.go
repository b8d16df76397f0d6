//go:build gc && (linux || darwin || windows)

package notifier

// boundOffset is where a slot's function is in callback_amd64.h: sixteen of 8 bytes, and
// 8 bytes that they share.
func boundOffset(slot int) int { return slot*8 + slot/16*8 }
