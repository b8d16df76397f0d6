//go:build unix

package notifier

// This file holds the self-pipe: the doorbell that every unix has. Where there is a
// better one it is a second mechanism under the same tests, and for troubleshooting. (A
// Linux without eventfd2 does not need it: Go itself does not start there.) It also holds parking,
// the half that it shares with the eventfd: waiting in the runtime's netpoller.

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/wakechan/wakechan/internal/identity"
	"golang.org/x/sys/unix"
)

type pipe struct {
	parking
	writer *os.File // kept from the garbage collector
	w      int
}

var _ doorbell = (*pipe)(nil)

func openPipe() (doorbell, error) {
	r, w, err := os.Pipe() // both ends nonblocking and close-on-exec
	if err != nil {
		return nil, err
	}
	p := &pipe{writer: w}
	if err := p.park(r); err != nil {
		_ = w.Close()
		return nil, err
	}
	if p.w, err = descriptorOf(w); err != nil {
		p.discard()
		return nil, err
	}
	// Unread bytes must go before the poller looks: a pipe that is full takes
	// no more, and some kernels (Linux 5.5 to 5.13) make an edge only when an
	// empty one is written to.
	p.before = func(fd uintptr) {
		if p.own.Check() != nil {
			return // it is another's; the self-check tells
		}
		var b [512]byte
		for {
			n, err := unix.Read(int(fd), b[:])
			if n < len(b) && err != unix.EINTR {
				return
			}
		}
	}
	if p.other, err = identity.Note(p.w); err != nil {
		p.discard()
		return nil, err
	}
	return p, nil
}

func (p *pipe) descriptor() uint32 { return uint32(p.w) }

func (p *pipe) signal() error {
	err := write(p.w, []byte{1})
	if err == unix.EAGAIN {
		return nil // full of signals that the poller has not read yet
	}
	return os.NewSyscallError("write", err)
}

func (p *pipe) discard() {
	p.parking.discard()
	_ = p.writer.Close()
}

// write writes b at once or not at all.
func write(fd int, b []byte) error {
	for {
		if _, err := unix.Write(fd, b); err != unix.EINTR {
			return err
		}
	}
}

// parking waits for a descriptor in the runtime's netpoller: the poller is a
// parked goroutine, no thread is blocked, and it runs on the thread that found
// the descriptor ready.
type parking struct {
	file  *os.File
	conn  syscall.RawConn
	fd    int
	own   *identity.File
	other *identity.File // a second descriptor to check, if not nil

	before func(fd uintptr) // called before each look, if not nil
	look   func() bool
	read   func(fd uintptr) bool
	limit  time.Duration // of the deadline that is set; 0: none is, or it has passed
}

// park takes over file, and closes it if it cannot be waited for.
func (p *parking) park(file *os.File) (err error) {
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	// A file that the netpoller did not take has no deadlines.
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("the runtime cannot wait for it: %w", err)
	}
	if p.conn, err = file.SyscallConn(); err != nil {
		return err
	}
	if p.fd, err = descriptorOf(file); err != nil {
		return err
	}
	if p.own, err = identity.Note(p.fd); err != nil {
		return err
	}
	p.file = file
	p.read = func(fd uintptr) bool {
		if p.before != nil {
			p.before(fd)
		}
		return p.look()
	}
	return nil
}

// wait must both arm and look inside the callback: Read forgets an earlier
// readiness when it begins, and calls back before it sleeps and at each edge.
func (p *parking) wait(look func() bool, limit time.Duration) error {
	// The deadline is set again only when it has passed, not for each sleep.
	if p.limit != limit {
		if err := p.file.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
		p.limit = limit
	}
	p.look = look
	err := p.conn.Read(p.read)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p.limit = 0
		return errSelfCheck
	}
	return err
}

func (p *parking) check() error {
	if err := p.own.Check(); err != nil || p.other == nil {
		return err
	}
	return p.other.Check()
}

// descriptorOf returns file's descriptor without making it blocking, as
// File.Fd would.
func descriptorOf(file *os.File) (fd int, err error) {
	conn, err := file.SyscallConn()
	if err == nil {
		err = conn.Control(func(n uintptr) { fd = int(n) })
	}
	return fd, err
}

func (p *parking) discard() { _ = p.file.Close() }
