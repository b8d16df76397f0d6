package chanadapter

// This file holds what Process asks of Linux (pidfd_open(2)).

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

func openProcess(pid int) (uintptr, error) {
	switch {
	case pid <= 0:
		return 0, fmt.Errorf("no process has the number %d, they begin at 1: %w", pid, unix.EINVAL)
	case pid > math.MaxInt32: // of which the kernel would take the lower half
		return 0, fmt.Errorf("no process %d: %w", pid, unix.ESRCH)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	switch err {
	case nil:
		return uintptr(fd), nil
	case unix.ESRCH:
		return 0, fmt.Errorf("no process %d: %w", pid, err)
	case unix.EINVAL, unix.ENOENT:
		return 0, fmt.Errorf("%d is not a process, but a thread of one: %w", pid, err)
	default:
		return 0, fmt.Errorf("cannot watch process %d: %w", pid, deniedCall("pidfd_open", err))
	}
}

func closeProcess(fd uintptr) { closeDescriptor(fd) }
