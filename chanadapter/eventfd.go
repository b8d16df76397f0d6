package chanadapter

// This file holds EventFD: an eventfd for a producer in the kernel or in another
// process. Its Wait blocks in the runtime's netpoller itself, with no goroutine or
// channel in between, which makes it the fastest way to wake up. The system's calls
// are in eventfd_linux.go.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wakechan/wakechan/internal/closing"
	"github.com/wakechan/wakechan/internal/unlabelled"
	"github.com/wakechan/wakechan/notifier"
)

// EventFD is an eventfd(2) that a goroutine waits for and somebody else signals:
// io_uring (IORING_REGISTER_EVENTFD), KVM's irqfd and ioeventfd, vhost, VFIO, the
// AIO of the kernel, another process. Make one with [NewEventFD], or with [OpenEventFD]
// from one that exists; the zero EventFD is closed. Only Linux has eventfds.
//
// The counter in the kernel adds up what producers write. Wait returns once it is
// not zero, and takes it; Value tells what was taken. C is for goroutines that
// select; it costs a goroutine, which starts with the first call, and the hop
// through it: from then on Wait pays that too. Use one of them.
type EventFD struct {
	n    *notifier.Notifier
	file *os.File // what the runtime waits for: the eventfd, or its gate
	conn syscall.RawConn
	fd   uintptr

	semaphore bool
	opened    bool // by OpenEventFD: others may read it, or make it a semaphore
	gated     bool // file is a gate, and fd is closed by Close

	// turn holds a token while somebody is in file's only place to wait: a Wait,
	// for as long as it lasts, or the goroutine behind C, to the end.
	turn chan struct{}

	// The turn's holder's: what the runtime calls back, kept here so that a Wait
	// allocates nothing, and what came of it.
	attempt func(fd uintptr) bool
	glance  func(fd uintptr)
	took    bool
	failure error

	// taken is what Wait took from the kernel's counter since the last Value.
	taken atomic.Uint64

	// unread is why the counter could not be read the last time, or nil.
	unread atomic.Pointer[error]

	plain sync.Mutex // of readCounter

	startOnce, closeOnce sync.Once
	exited               chan struct{} // closed by the goroutine behind C
	started              atomic.Bool   // there is one
}

// EventFDOption sets up an [EventFD].
type EventFDOption func(*eventFDOptions)

type eventFDOptions struct{ semaphore bool }

// Semaphore makes the counter one of permits (EFD_SEMAPHORE): each Wait takes
// one of what was written, not all. C's token then stands for any number of
// permits, which Value takes one at a time, until it returns 0.
func Semaphore() EventFDOption {
	return func(o *eventFDOptions) { o.semaphore = true }
}

// NewEventFD returns an [EventFD] whose counter is 0. It is close-on-exec; for a
// child process see File.
//
// The error is the system's, when it has no descriptor or memory left. It matches
// [errors.ErrUnsupported] where the system has no eventfd, or a sandbox denies it.
func NewEventFD(opts ...EventFDOption) (*EventFD, error) {
	var o eventFDOptions
	for _, opt := range opts {
		opt(&o)
	}
	fd, err := createEventFD(o.semaphore)
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no eventfd: %w", err)
	}
	e := &EventFD{fd: fd, semaphore: o.semaphore}
	if err := e.park(); err != nil {
		return nil, err
	}
	return e, nil
}

// OpenEventFD returns an [EventFD] for an eventfd that exists: a library's own, or one
// that came from another process. It has a duplicate of fd, which Close closes. So fd
// stays its owner's, who may close it at any time. Its flags are not changed, and it
// may be blocking. The counter and whether it is a semaphore are as they were: what
// was written before is there for the first Wait.
//
// All who read an eventfd share its counter: what others take does not come here.
//
//   - Before Linux 6.5, or without /proc, the system does not say that an eventfd is a
//     semaphore. Then Value also counts what Wait took.
//   - Before Linux 5.9, or where a sandbox denies preadv2(2), a Wait, Value or Close
//     may block a thread until the next write, if the eventfd is blocking and others
//     read it too.
//
// If fd comes from an [os.File], keep that alive during the call: the file's finalizer
// closes its descriptor. [os.File.Fd] may make a descriptor blocking, for all who share
// it; File.SyscallConn does not.
//
// The error names fd and wraps the system's: EBADF when it is not open, EINVAL when it
// is no eventfd, EMFILE when there is no descriptor left. It matches
// [errors.ErrUnsupported] where the system has no eventfd.
func OpenEventFD(fd uintptr) (*EventFD, error) {
	e := &EventFD{opened: true}
	var blocking bool
	var err error
	if e.fd, err = duplicate(fd); err == nil {
		// The duplicate, so that it is this file that is examined.
		if blocking, e.semaphore, err = examineEventFD(e.fd); err != nil {
			closeDescriptor(e.fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("chanadapter: cannot use descriptor %d as an eventfd: %w", int(fd), err)
	}
	e.gated = blocking
	if err := e.park(); err != nil {
		return nil, err
	}
	return e, nil
}

// park has the runtime's netpoller wait for e.fd, which it closes if that fails.
func (e *EventFD) park() error {
	waited, err := e.fd, error(nil)
	if e.gated {
		if waited, err = gate(e.fd); err != nil {
			closeDescriptor(e.fd)
			return fmt.Errorf("chanadapter: cannot wait for a blocking eventfd: %w", err)
		}
	}
	// NewFile gives a descriptor to the netpoller only if it is nonblocking
	// already, and one that the netpoller did not take has no deadlines.
	e.file = os.NewFile(waited, "chanadapter-eventfd")
	if err = e.file.SetReadDeadline(time.Time{}); err == nil {
		e.conn, err = e.file.SyscallConn()
	}
	if err != nil {
		_ = e.file.Close()
		if e.gated {
			closeDescriptor(e.fd)
		}
		return fmt.Errorf("chanadapter: the runtime cannot wait for an eventfd: %w", err)
	}
	e.n = notifier.New()
	e.turn, e.exited = make(chan struct{}, 1), make(chan struct{})
	e.attempt = func(waited uintptr) bool {
		e.passGate(waited)
		e.took, e.failure = e.read()
		return e.took || e.failure != nil
	}
	e.glance = func(waited uintptr) { e.attempt(waited) }
	return nil
}

// passGate comes before each look at the counter that may be followed by a sleep.
func (e *EventFD) passGate(waited uintptr) {
	if e.gated {
		pass(waited)
	}
}

// String says which eventfd this is, for logs.
func (e *EventFD) String() string {
	switch {
	case e == nil:
		return "EventFD(nil)"
	case e.FD() == ^uintptr(0):
		return "EventFD(closed)"
	default:
		return fmt.Sprintf("EventFD(%d)", e.fd)
	}
}

// FD returns the descriptor to give to the producer, or ^uintptr(0) once e is
// closed. Whoever writes to it adds its eight bytes, a number in the host's byte
// order, to the counter. It is e's: do not close it, and take it away from user-space
// producers before Close. It is nonblocking, unless [OpenEventFD] found it blocking. The
// kernel's own producers hold on to the eventfd itself, and never write to a later owner
// of the number.
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
	var fd uintptr
	var err error
	if gone := e.conn.Control(func(uintptr) { fd, err = duplicate(e.fd) }); gone != nil {
		return nil, ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no descriptor for the child: %w", err)
	}
	return os.NewFile(fd, "eventfd"), nil
}

// Wait blocks until the counter is not zero, and takes it (with Semaphore, 1 of
// it). It returns nil if it took something; the cause of ctx's end
// ([context.Cause]); [ErrClosed] after Close. What is there already is taken even if
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
			if e.semaphore || e.opened {
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
			return e.Err()
		}
	}
}

// passOn puts a token for the permits that are left: one edge may be several.
// Linux makes another edge when one is taken, since that makes room to write,
// but no manual page promises it.
func (e *EventFD) passOn() {
	_ = e.conn.Control(func(uintptr) {
		if readable(e.fd) {
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
	// What is there already needs no AfterFunc, which allocates.
	if e.conn.Control(e.glance) != nil {
		return ErrClosed
	}
	if e.took || e.failure != nil {
		return e.failure
	}
	if ctx.Err() != nil {
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
	l := looks.Get().(*look)
	l.e, l.took, l.err = e, false, ErrClosed // if it is not called back
	_ = e.conn.Control(l.back)
	took, err = l.took, l.err
	l.e, l.err = nil, nil
	looks.Put(l)
	return took, err
}

// look is what the runtime calls back for one take, and what came of it. It is used
// again, since a function that is made for each take would be allocated.
type look struct {
	e    *EventFD
	back func(fd uintptr)
	took bool
	err  error
}

var looks = sync.Pool{New: func() any {
	l := new(look)
	l.back = func(uintptr) { l.took, l.err = l.e.read() }
	return l
}}

// read takes the counter, or one of it, if it is not zero.
func (e *EventFD) read() (took bool, err error) {
	count, err := readCounter(e.fd, &e.plain)
	if err != nil {
		kept := err // which escapes
		e.unread.Store(&kept)
		return false, err
	}
	if e.unread.Load() != nil {
		e.unread.Store(nil)
	}
	if count == 0 {
		return false, nil
	}
	if !e.semaphore {
		e.taken.Add(count)
	}
	return true, nil
}

// Value returns what Wait took since Value was last called, together with what is
// in the counter now, and takes that: 0 if nothing was written. With Semaphore it
// takes 1 if there is one, and returns that. It never blocks. After Close it
// returns what Wait had taken. If the system does not let the counter be read, it
// returns what Wait had taken, and Err says why.
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
		unlabelled.Go(e.announce)
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
	_ = e.conn.Read(func(waited uintptr) bool {
		e.passGate(waited)
		if first {
			// No edge tells of what was written before.
			first = false
			if !readable(e.fd) {
				return false
			}
		}
		return e.n.Notify() != nil
	})
}

// Done returns a channel that is closed by Close.
func (e *EventFD) Done() <-chan struct{} {
	if e == nil {
		return (*notifier.Notifier)(nil).Done()
	}
	return e.n.Done()
}

// Err returns [ErrClosed] after Close. Before, it returns nil, or why the counter could
// not be read the last time that Wait or Value tried; they may try again.
func (e *EventFD) Err() error {
	if e == nil {
		return ErrClosed
	}
	if err := e.n.Err(); err != nil {
		return closing.Renamed(err, ErrClosed)
	}
	if unread := e.unread.Load(); unread != nil {
		return *unread
	}
	return nil
}

// Close ends e: those who Wait get [ErrClosed], and once it has returned no token
// is put in any more and the descriptor is closed. It may be called again, by
// several goroutines and while others use e. The error is nil.
func (e *EventFD) Close() error {
	if e == nil || e.n == nil {
		return nil
	}
	e.closeOnce.Do(func() {
		e.startOnce.Do(func() {}) // no goroutine from here on
		_ = e.n.Close()
		_ = e.file.Close() // ends all waits, and waits for them
		if e.gated {
			closeDescriptor(e.fd)
		}
		if e.started.Load() {
			<-e.exited
		}
	})
	return nil
}
