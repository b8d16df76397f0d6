package notifier

// This file holds Linux's doorbell: an eventfd that the runtime's netpoller
// waits for. It never reads the counter but when that is full: each write is an
// edge, and what is ready stands in the ready set (eventfd(2), epoll(7)).

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

var backends = []backend{
	{"eventfd", kindEventFD, openEventFD},
	{"pipe", kindPipe, openPipe},
}

type eventFD struct {
	parking
	fd int
}

var _ doorbell = (*eventFD)(nil)

func openEventFD() (doorbell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd2", err)
	}
	// NewFile makes a descriptor pollable only if it is nonblocking already.
	e := &eventFD{fd: fd}
	if err := e.park(os.NewFile(uintptr(fd), "notifier-eventfd")); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *eventFD) descriptor() uint32 { return uint32(e.fd) }

// one is the number 1 as eventfd(2) wants it: eight bytes in the host's order.
var one = binary.NativeEndian.AppendUint64(nil, 1)

func (e *eventFD) signal() error {
	err := write(e.fd, one)
	if err == unix.EAGAIN {
		// The counter is at its maximum: such a write makes no edge. Empty it
		// and write again. If that finds it full once more, somebody has
		// written in between: after the caller's bits, so the edge is theirs.
		var count [8]byte
		for {
			_, err := unix.Read(e.fd, count[:])
			if err == nil || err == unix.EAGAIN { // or somebody else has emptied it
				break
			}
			if err != unix.EINTR {
				return os.NewSyscallError("read", err)
			}
		}
		if err = write(e.fd, one); err == unix.EAGAIN {
			return nil
		}
	}
	return os.NewSyscallError("write", err)
}

// preferSmallPages is for memory of which few pages are touched. It is only a wish:
// kernels without huge pages say EINVAL.
func preferSmallPages(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }
