//go:build !linux && !windows

package chanadapter

// This file stands for the systems that have no descriptor or handle for a process.

import (
	"errors"
	"fmt"
)

func openProcess(pid int) (uintptr, error) {
	return 0, fmt.Errorf("cannot watch process %d: %w", pid, errors.ErrUnsupported)
}

func closeProcess(uintptr) {}
