//go:build !cgo || !(linux || windows)

package foreign

// Wrecks is empty: this build has no threads that can be ended in a call.
var Wrecks map[string]func(handles []uint64, rounds int) uint64
