//go:build !linux

package chanadapter

// This file stands for the systems that have no descriptor for a process.

import (
	"errors"
	"fmt"
)

// Process is for Linux: see there.
func Process(pid int) (*Watcher, error) {
	return nil, fmt.Errorf("chanadapter: cannot watch process %d: %w", pid, errors.ErrUnsupported)
}
