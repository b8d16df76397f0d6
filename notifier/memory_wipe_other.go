//go:build unix && !linux && !freebsd && !netbsd

package notifier

// This file stands for the unixes whose kernel does not wipe memory on fork, or
// is not asked to: a block's header has the process id for them.

func wipeOnFork([]byte) bool { return false }
