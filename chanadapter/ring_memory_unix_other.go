//go:build unix && !linux

package chanadapter

// This file stands for the unixes where nothing is mapped twice, nor wiped on
// fork: a child has copies of control block and data.

import "errors"

var ringMemories = []ringMemory{privateMemory{}}

func wipeOnFork([]byte) error { return errors.ErrUnsupported }

func wipesOnFork() bool { return false }
