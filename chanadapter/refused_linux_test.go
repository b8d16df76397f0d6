package chanadapter

// This file holds what happens when Linux refuses a system call that an adapter is made
// with. Each test runs in a process of its own.

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// The error is the system's and says what was refused, and nothing half made is left:
// TestMain counts what is open.
func TestCallsAreRefused(t *testing.T) {
	for name, refused := range map[string]struct {
		call uint32
		make func(fd uintptr) error
		says string
	}{
		"eventfd2":       {unix.SYS_EVENTFD2, func(uintptr) error { _, err := NewEventFD(); return err }, "no eventfd"},
		"timerfd_create": {unix.SYS_TIMERFD_CREATE, func(uintptr) error { _, err := NewTimer(Boottime); return err }, "no timer"},
		"pidfd_open":     {unix.SYS_PIDFD_OPEN, func(uintptr) error { _, err := Process(os.Getpid()); return err }, "cannot watch process"},
		"epoll_create1":  {unix.SYS_EPOLL_CREATE1, func(fd uintptr) error { _, err := Watch(fd); return err }, "cannot watch descriptors"},
		"Watch of a Timer": {unix.SYS_EPOLL_CREATE1, func(uintptr) error { _, err := NewTimer(Boottime); return err },
			"cannot watch descriptors"},
		"Watch of a process": {unix.SYS_EPOLL_CREATE1, func(uintptr) error { _, err := Process(os.Getpid()); return err },
			"cannot watch descriptors"},
	} {
		t.Run(name, func(t *testing.T) {
			if !testenv.Child(t) {
				return
			}
			fd := uintptr(eventfd(t))
			before := openDescriptors()
			testenv.Refuse(t, refused.call)
			for range 10 {
				err := refused.make(fd)
				require.ErrorIs(t, err, unix.EPERM)
				require.ErrorContains(t, err, refused.says)
				if refused.call != unix.SYS_EPOLL_CREATE1 {
					require.ErrorIs(t, err, errors.ErrUnsupported, "a sandbox denies it")
				}
			}
			assert.Equal(t, before, openDescriptors(), "something was left behind")
			require.Nil(t, sharedSet())
		})
	}
}

// A timer that cannot be set says so, and is as it was.
func TestTimerCannotBeSet(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	timer, err := NewTimer(Boottime)
	require.NoError(t, err)
	defer timer.Close()
	testenv.Refuse(t, unix.SYS_TIMERFD_SETTIME)
	require.ErrorIs(t, timer.After(1), unix.EPERM)
	require.ErrorIs(t, timer.Every(1), unix.EPERM)
	require.NoError(t, timer.Err())
	require.Empty(t, timer.C())
}
