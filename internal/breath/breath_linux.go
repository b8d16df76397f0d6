package breath

// This file holds Linux's pause: the goroutine waits for an eventfd that it has just
// written to. time.Sleep would not do: the runtime rounds a sleep of a microsecond up to
// a millisecond of epoll_wait(2).

import (
	"encoding/binary"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/identity"
)

// every is how long a goroutine may spin before it should pause: long enough that a
// pause costs little of it, short enough that what waits in the kernel does not wait
// long.
const every = 12 * time.Microsecond

type eventFD struct {
	conn   syscall.RawConn
	turn   func(fd uintptr) (done bool) // step, allocated once
	file   *identity.File
	wrote  bool
	failed bool
}

// one is the number 1 as eventfd(2) wants it.
var one = binary.NativeEndian.AppendUint64(nil, 1)

func (e *eventFD) park() bool {
	e.wrote = false
	return e.conn.Read(e.turn) == nil && !e.failed
}

// step is called before the goroutine parks, and when it has been woken.
func (e *eventFD) step(fd uintptr) (done bool) {
	if e.wrote {
		return true
	}
	e.wrote = true
	// Somebody may have closed it, and have another file there, which must not be
	// written to.
	if e.file.Check() == nil {
		if _, err := unix.Write(int(fd), one); err == nil {
			return false
		}
	}
	e.failed = true
	return true
}

func open() (parker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "breath")
	e := &eventFD{}
	e.turn = e.step
	e.conn, err = file.SyscallConn() // keeps file
	if err == nil {
		// A file that the netpoller did not take has no deadlines.
		err = file.SetReadDeadline(time.Time{})
	}
	if err == nil {
		e.file, err = identity.Note(fd)
	}
	if err == nil {
		// A second descriptor, which nobody uses, keeps the eventfd open, and epoll(7)
		// tells of it as long as it is. Else who closed the first one while a goroutine is
		// parked would leave it so for ever, and all that pause after it.
		_, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return e, nil
}
