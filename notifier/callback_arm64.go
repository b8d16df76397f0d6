//go:build gc && (linux || darwin)

package notifier

// boundOffset is where a slot's function is in callback_arm64.h: three instructions each.
func boundOffset(slot int) int { return slot * 12 }
