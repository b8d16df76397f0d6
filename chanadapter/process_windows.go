package chanadapter

// This file holds what Process asks of Windows (OpenProcess).

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

func openProcess(pid int) (uintptr, error) {
	if pid <= 0 || int64(pid) > math.MaxUint32 {
		return 0, fmt.Errorf("no process %d: %w", pid, windows.ERROR_INVALID_PARAMETER)
	}
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	switch err {
	case nil:
		return uintptr(h), nil
	case windows.ERROR_INVALID_PARAMETER:
		return 0, fmt.Errorf("no process %d: %w", pid, err)
	default:
		return 0, fmt.Errorf("cannot watch process %d: %w", pid, os.NewSyscallError("OpenProcess", err))
	}
}

func closeProcess(h uintptr) { _ = windows.CloseHandle(windows.Handle(h)) }
