package chanadapter

// This file holds EventFD: an eventfd of our own for a producer in the kernel or
// in another process. Its Wait blocks in the runtime's netpoller itself, with no
// goroutine or channel in between, which makes it the fastest way to wake up.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/notifier"
)

// EventFD is an eventfd(2) that a goroutine waits for and somebody else signals:
// io_uring (IORING_REGISTER_EVENTFD), KVM's irqfd and ioeventfd, vhost, VFIO, the
// AIO of the kernel, another process. Make one with NewEventFD; the zero EventFD
// is closed.
//
// The counter in the kernel adds up what producers write. Wait returns once it is
// not zero, and takes it; Value tells what was taken. C is for goroutines that
// select; it costs a goroutine, which starts with the first call, and the hop
// through it: from then on Wait pays that too. Use one of them.
type EventFD struct {
	n    *notifier.Notifier
	file *os.File
	conn syscall.RawConn
	fd   uintptr

	semaphore bool

	// turn holds a token while somebody is in file's only place to wait: a Wait,
	// for as long as it lasts, or the goroutine behind C, to the end.
	turn chan struct{}

	// The turn's holder's: what the runtime calls back, kept here so that a Wait
	// allocates nothing, and what came of it.
	attempt func(fd uintptr) bool
	took    bool
	failure error

	// taken is what Wait took from the kernel's counter since the last Value.
	taken atomic.Uint64

	startOnce, closeOnce sync.Once
	exited               chan struct{} // closed by the goroutine behind C
	started              atomic.Bool   // there is one
}

// EventFDOption sets up an EventFD.
type EventFDOption func(*eventFDOptions)

type eventFDOptions struct{ flags int }

// Semaphore makes the counter one of permits (EFD_SEMAPHORE): each Wait takes
// one of what was written, not all. C's token then stands for any number of
// permits, which Value takes one at a time, until it returns 0.
func Semaphore() EventFDOption {
	return func(o *eventFDOptions) { o.flags |= unix.EFD_SEMAPHORE }
}

// NewEventFD returns an EventFD whose counter is 0. It is close-on-exec; for a
// child process see File. The error is the system's, when it has no descriptor
// or memory left or denies eventfd.
func NewEventFD(opts ...EventFDOption) (*EventFD, error) {
	o := eventFDOptions{flags: unix.EFD_CLOEXEC | unix.EFD_NONBLOCK}
	for _, opt := range opts {
		opt(&o)
	}
	n, err := notifier.New()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Eventfd(0, o.flags)
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no eventfd: %w", os.NewSyscallError("eventfd2", err))
	}
	e := &EventFD{
		n:         n,
		fd:        uintptr(fd),
		semaphore: o.flags&unix.EFD_SEMAPHORE != 0,
		turn:      make(chan struct{}, 1),
		exited:    make(chan struct{}),
	}
	e.attempt = func(uintptr) bool {
		e.took, e.failure = e.read()
		return e.took || e.failure != nil
	}
	// NewFile gives a descriptor to the netpoller only if it is nonblocking
	// already, and one that the netpoller did not take has no deadlines.
	e.file = os.NewFile(e.fd, "chanadapter-eventfd")
	if err = e.file.SetReadDeadline(time.Time{}); err == nil {
		e.conn, err = e.file.SyscallConn()
	}
	if err != nil {
		_ = e.file.Close()
		return nil, fmt.Errorf("chanadapter: the runtime cannot wait for an eventfd: %w", err)
	}
	return e, nil
}

// FD returns the descriptor to give to the producer, or ^uintptr(0) once e is
// closed. Whoever writes to it adds its eight bytes, a number in the host's byte
// order, to the counter. It is nonblocking, and e's: do not close it, and take it
// away from user-space producers before Close. The kernel's own producers hold on
// to the eventfd itself, and never write to a later owner of the number.
func (e *EventFD) FD() uintptr {
	if e == nil || e.n == nil || e.n.Err() != nil {
		return ^uintptr(0)
	}
	return e.fd
}

// File returns the eventfd under a new descriptor, which the caller closes. It
// is for a child process: put it in exec.Cmd.ExtraFiles.
func (e *EventFD) File() (*os.File, error) {
	if e == nil || e.n == nil {
		return nil, ErrClosed
	}
	var fd int
	var err error
	if gone := e.conn.Control(func(n uintptr) {
		fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0)
	}); gone != nil {
		return nil, ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no descriptor for the child: %w", os.NewSyscallError("fcntl", err))
	}
	return os.NewFile(uintptr(fd), "eventfd"), nil
}

// Wait blocks until the counter is not zero, and takes it (with Semaphore, 1 of
// it). It returns nil if it took something; the cause of ctx's end
// (context.Cause); ErrClosed after Close. What is there already is taken even if
// ctx has ended. Several goroutines may wait: what one takes wakes one.
//
// It adds up what it took for Value.
func (e *EventFD) Wait(ctx context.Context) error {
	if e == nil || e.n == nil {
		return ErrClosed
	}
	for {
		select {
		case e.turn <- struct{}{}:
			return e.block(ctx)
		default:
		}
		// Another Wait has the place, or the goroutine behind C, which never
		// leaves it: then it is that one's tokens that this waits for.
		if took, err := e.take(); err != nil {
			return err
		} else if took {
			if e.semaphore {
				e.passOn()
			}
			return nil
		}
		select {
		case e.turn <- struct{}{}:
			return e.block(ctx)
		case <-e.n.C():
			// Whatever the token was for may have been taken since.
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-e.n.Done():
			return e.n.Err()
		}
	}
}

// passOn puts a token for the permits that are left: one edge may be several.
// Linux makes another edge when one is taken, since that makes room to write,
// but no manual page promises it.
func (e *EventFD) passOn() {
	_ = e.conn.Control(func(fd uintptr) {
		if readable(fd) {
			_ = e.n.Notify()
		}
	})
}

// block is Wait for the holder of the turn, which it gives back.
func (e *EventFD) block(ctx context.Context) error {
	defer func() { <-e.turn }()
	e.took, e.failure = false, nil
	if ctx.Done() == nil {
		return e.outcome(e.conn.Read(e.attempt))
	}
	if ctx.Err() != nil {
		if took, err := e.take(); took || err != nil {
			return err
		}
		return context.Cause(ctx)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = e.file.SetReadDeadline(time.Unix(1, 0))
	})
	err := e.conn.Read(e.attempt)
	if stop() {
		return e.outcome(err)
	}
	// The deadline is set, or about to be: it must not hit the next Wait.
	<-interrupted
	_ = e.file.SetReadDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if took, err := e.take(); took || err != nil { // written just before
			return err
		}
		return context.Cause(ctx)
	}
	return e.outcome(err)
}

// outcome is what block returns when conn.Read did err.
func (e *EventFD) outcome(err error) error {
	switch {
	case err == nil:
		return e.failure
	case e.n.Err() != nil: // conn.Read's own error for that is not exported
		return ErrClosed
	default:
		return fmt.Errorf("chanadapter: cannot wait for the eventfd: %w", err)
	}
}

// take is read for those who are not called back with the file held.
func (e *EventFD) take() (took bool, err error) {
	gone := e.conn.Control(func(uintptr) { took, err = e.read() })
	if gone != nil {
		return false, ErrClosed
	}
	return took, err
}

// read takes the counter, or one of it, if it is not zero.
func (e *EventFD) read() (took bool, err error) {
	count, err := readCounter(e.fd)
	if count == 0 {
		return false, err
	}
	if !e.semaphore {
		e.taken.Add(count)
	}
	return true, nil
}

// readCounter reads an eventfd without blocking; 0 means that there is nothing yet.
// It does not count on O_NONBLOCK, which a process that inherited the descriptor
// may have cleared for all: preadv2 is told not to wait. Where that is missing
// (Linux before 5.9, emulators) O_NONBLOCK has to do.
//
// A call that cannot block need not tell the scheduler. That matters: the first
// such telling after an idle time wakes the runtime's monitoring thread, which
// makes a cold wake-up 10 microseconds slower and twice as dear.
func readCounter(fd uintptr) (uint64, error) {
	var b [8]byte
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	for {
		var errno syscall.Errno
		plain := noPreadv2.Load()
		if plain {
			_, _, errno = unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		} else {
			// An offset of -1 is the file's own; it takes two registers.
			_, _, errno = unix.RawSyscall6(preadv2, fd, uintptr(unsafe.Pointer(&iov)), 1, ^uintptr(0), ^uintptr(0), unix.RWF_NOWAIT)
		}
		switch errno {
		case 0:
			return binary.NativeEndian.Uint64(b[:]), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		case unix.ENOSYS, unix.EOPNOTSUPP:
			if plain {
				return 0, os.NewSyscallError("read", errno)
			}
			noPreadv2.Store(true) // others may find out at the same time
		default:
			return 0, os.NewSyscallError("read", errno)
		}
	}
}

var noPreadv2 atomic.Bool

// preadv2 is a variable for tests.
var preadv2 uintptr = unix.SYS_PREADV2

// Value returns what Wait took since Value was last called, together with what is
// in the counter now, and takes that: 0 if nothing was written. With Semaphore it
// takes 1 if there is one, and returns that. It never blocks. After Close it
// returns what Wait had taken.
func (e *EventFD) Value() uint64 {
	if e == nil || e.n == nil {
		return 0
	}
	took, _ := e.take()
	if e.semaphore {
		if took {
			return 1
		}
		return 0
	}
	return e.taken.Swap(0)
}

// C returns the channel to select on. It is always the same, has room for one
// token, and is never closed: Done says when no more tokens come. Each write to
// the eventfd is followed by a token received after it, any number of them
// by one; call Value to empty the counter.
//
// The first call starts a goroutine, which is parked in the runtime's netpoller
// until Close. In a testing/synctest bubble it is the bubble's, so Close must be
// called there.
func (e *EventFD) C() <-chan struct{} {
	if e == nil || e.n == nil {
		panic("chanadapter: C of an EventFD that was not made by NewEventFD")
	}
	e.startOnce.Do(func() {
		e.started.Store(true)
		go e.announce()
	})
	return e.n.C()
}

// announce is the goroutine behind C: it turns each edge into a token, and does
// not read the counter.
func (e *EventFD) announce() {
	defer close(e.exited)
	select {
	case e.turn <- struct{}{}: // kept to the end
	case <-e.n.Done():
		return
	}
	first := true
	_ = e.conn.Read(func(fd uintptr) bool {
		if first {
			// No edge tells of what was written before.
			first = false
			if !readable(fd) {
				return false
			}
		}
		return e.n.Notify() != nil
	})
}

// readable reports whether a read would find something.
func readable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p[:], 0)
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// Done returns a channel that is closed by Close.
func (e *EventFD) Done() <-chan struct{} {
	if e == nil {
		return (*notifier.Notifier)(nil).Done()
	}
	return e.n.Done()
}

// Err returns nil while e is open, and ErrClosed after Close.
func (e *EventFD) Err() error {
	if e == nil {
		return ErrClosed
	}
	return e.n.Err()
}

// Close ends e: those who Wait get ErrClosed, and once it has returned no token
// is put in any more and the descriptor is closed. It may be called again, by
// several goroutines and while others use e. The error is nil.
func (e *EventFD) Close() error {
	if e == nil || e.n == nil {
		return nil
	}
	e.closeOnce.Do(func() {
		e.startOnce.Do(func() {}) // no goroutine from here on
		_ = e.n.Close()
		_ = e.file.Close() // sends those who wait home, and waits for them
		if e.started.Load() {
			<-e.exited
		}
	})
	return nil
}
