package chanadapter

// This file holds what Timer asks of Linux (timerfd_create(2)): calls and errno, no
// policy.

import (
	"encoding/binary"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The numbers of clocks are the kernel's.
var _ = [1]struct{}{}[Realtime-unix.CLOCK_REALTIME+Boottime-unix.CLOCK_BOOTTIME]

func createTimer(clock Clock) (int, error) {
	if clock < 0 || clock > math.MaxInt32 { // of which the kernel would take the lower half
		return -1, os.NewSyscallError("timerfd_create", unix.EINVAL)
	}
	fd, err := unix.TimerfdCreate(int(clock), unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	return fd, deniedCall("timerfd_create", err)
}

func setTimer(fd int, e expiry) error {
	flags := 0
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(e.after)), Interval: unix.NsecToTimespec(int64(e.every))}
	if e.absolute {
		flags = unix.TFD_TIMER_ABSTIME | unix.TFD_TIMER_CANCEL_ON_SET
		spec.Value = unix.Timespec{Nsec: 1} // zero would mean never
		if e.when.After(time.Unix(0, 1)) {
			var err error
			if spec.Value, err = unix.TimeToTimespec(e.when); err != nil {
				return err
			}
		}
	}
	// ECANCELED says that the clock was set before; the timer is set all the same.
	if err := unix.TimerfdSettime(fd, flags, &spec, nil); err != nil && err != unix.ECANCELED {
		return os.NewSyscallError("timerfd_settime", err)
	}
	return nil
}

// readTimer takes the count of expirations, without blocking, or that the clock was
// set.
func readTimer(fd int) (n uint64, clockSet bool, err error) {
	var b [8]byte
	for {
		switch n, err := unix.Read(fd, b[:]); err {
		case nil:
			if n != len(b) {
				return 0, false, os.NewSyscallError("read", unix.EIO)
			}
			return binary.NativeEndian.Uint64(b[:]), false, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, false, nil
		case unix.ECANCELED:
			return 0, true, nil
		default:
			return 0, false, os.NewSyscallError("read", err)
		}
	}
}
