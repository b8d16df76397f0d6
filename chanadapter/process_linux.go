package chanadapter

// This file holds Process for Linux: a pidfd, watched.

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Process returns a Watcher that gets one token when process pid has ended. It
// need not be a child. It has a descriptor (on Windows a handle) of its own, and
// Close closes that.
//
// It does not reap: a child's exit status is there for os.Process.Wait or the
// like, which does not block once the token came. On Linux a process that has
// ended but is not reaped yet can be watched too: there is a token at once.
//
// The error says so if there is no such process, or if pid is a thread of one. It
// matches errors.ErrUnsupported where the system has no such thing: Linux before
// 5.3, and anything but Linux and Windows.
func Process(pid int) (*Watcher, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch err {
	case nil:
	case unix.ESRCH:
		return nil, fmt.Errorf("chanadapter: no process %d: %w", pid, err)
	case unix.EINVAL, unix.ENOENT:
		return nil, fmt.Errorf("chanadapter: %d is not a process, but perhaps a thread of one: %w", pid, err)
	default:
		return nil, fmt.Errorf("chanadapter: cannot watch process %d: %w", pid, os.NewSyscallError("pidfd_open", err))
	}
	free := func() { _ = unix.Close(fd) }
	// One-shot: some kernels announce the reaping as well.
	w, err := watch(uintptr(fd), free, nil, []Option{Level()})
	if err != nil {
		free()
	}
	return w, err
}
