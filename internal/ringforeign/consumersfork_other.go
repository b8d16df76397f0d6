//go:build !cgo || !unix

package ringforeign

// This file stands for builds without fork.

// OutInChild panics: Forks is false.
func OutInChild(uint64) (read, peek int, ok bool) { panic("ringforeign: no fork") }
