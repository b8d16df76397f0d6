//go:build unix && !linux && !freebsd

package ring

// This file stands for the unixes where nothing is mapped twice.

var backings = []backing{privateMemory{}}
