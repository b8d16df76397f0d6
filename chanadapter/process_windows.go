package chanadapter

// This file holds Process for Windows: a process handle, watched.

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// Process returns a Watcher that gets one token when process pid has ended. It
// need not be a child. It has a handle (on Linux a descriptor) of its own, and
// Close closes that.
//
// The error says so if there is no such process. It matches
// errors.ErrUnsupported where the system has no such thing: Linux before 5.3, and
// anything but Linux and Windows.
func Process(pid int) (*Watcher, error) {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid))
	switch err {
	case nil:
	case windows.ERROR_INVALID_PARAMETER:
		return nil, fmt.Errorf("chanadapter: no process %d: %w", pid, err)
	default:
		return nil, fmt.Errorf("chanadapter: cannot watch process %d: %w", pid, os.NewSyscallError("OpenProcess", err))
	}
	free := func() { _ = windows.CloseHandle(h) }
	w, err := watch(uintptr(h), free, nil, nil)
	if err != nil {
		free()
	}
	return w, err
}
