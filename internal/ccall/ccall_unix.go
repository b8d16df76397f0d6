//go:build gc && ((linux && (amd64 || arm64)) || (darwin && amd64))

package ccall

// This file is ccall_windows.go's twin.

// In ccall_*.s.
//
//go:noescape
func call(f *frame)
