//go:build unix && !linux

package identity

// This file stands for the systems where fstat(2) tells all files apart that are noted.

func mark(int) int { return 0 }

func marked(int, int) bool { return true }
