//go:build unix && !linux

package notifier

// This file stands for the unixes whose kernel does not wipe memory on fork: a
// block's header has the process id for them.

func wipeOnFork([]byte) bool { return false }
