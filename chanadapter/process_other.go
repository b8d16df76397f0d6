//go:build !linux && !windows

package chanadapter

// This file stands for the systems that have no descriptor or handle for a process.

import (
	"errors"
	"fmt"
)

// Process is for Linux and Windows: see there.
func Process(pid int) (*Watcher, error) {
	return nil, fmt.Errorf("chanadapter: cannot watch process %d: %w", pid, errors.ErrUnsupported)
}
