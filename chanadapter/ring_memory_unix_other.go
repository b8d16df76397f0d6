//go:build unix && !linux && !freebsd

package chanadapter

// This file stands for the unixes where nothing is mapped twice.

var ringMemories = []ringMemory{privateMemory{}}
