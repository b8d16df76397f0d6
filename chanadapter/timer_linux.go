package chanadapter

// This file holds Timer: a timerfd, watched. It is there for what time.Timer
// cannot do; for anything else that is the better one.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is what a Timer goes by.
type Clock int

const (
	// Boottime counts the time since boot, also while the machine is suspended,
	// where the clock of time.Timer stands still.
	Boottime Clock = unix.CLOCK_BOOTTIME
	// Realtime is the wall clock. A Timer set by At expires when the wall clock
	// shows that time, however it is set meanwhile, and tells if it is set.
	Realtime Clock = unix.CLOCK_REALTIME
)

// ErrClockSet is what Timer.Expired returns when the wall clock was set.
var ErrClockSet = errors.New("chanadapter: the wall clock was set")

// Timer puts a token in a channel when it expires, by a clock that time.Timer
// does not have: see Clock and timerfd_create(2). Make one with NewTimer; the
// zero Timer is closed. All methods are safe from any goroutine at any time.
type Timer struct {
	w     *Watcher
	clock Clock

	mu sync.Mutex // held while fd is used, and to close it
	fd int        // -1 once it is closed

	// What was read from fd since t was set or Expired was last called.
	expirations uint64
	clockSet    bool
}

// NewTimer returns a Timer that is not set. It has a descriptor of its own, until
// Close. The error is the system's, or Watch's.
func NewTimer(clock Clock) (*Timer, error) {
	fd, err := unix.TimerfdCreate(int(clock), unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no timer: %w", os.NewSyscallError("timerfd_create", err))
	}
	t := &Timer{clock: clock, fd: fd}
	t.w, err = watch(uintptr(fd), t.free, t.gather, nil)
	if err != nil {
		t.free()
		return nil, err
	}
	return t, nil
}

func (t *Timer) free() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = unix.Close(t.fd)
	t.fd = -1
}

// After sets t to expire once, d from now: at once if d is not positive. What was
// set before is forgotten, but a token of it that is there already stays. The
// error is ErrClosed, or what ended t.
func (t *Timer) After(d time.Duration) error {
	return t.set(0, unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))})
}

// Every sets t to expire every d from now on. Several expirations before a
// receive leave one token: Expired tells how many there were, and need not be
// called. d must be positive.
func (t *Timer) Every(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("chanadapter: a timer cannot expire every %v: %w", d, os.ErrInvalid)
	}
	each := unix.NsecToTimespec(int64(d))
	return t.set(0, unix.ItimerSpec{Value: each, Interval: each})
}

// At sets t, whose clock must be Realtime, to expire when the wall clock shows
// when: at once if it does so already. If the wall clock is set before, by a
// person or a big step of NTP, there is a token too, and Expired returns
// ErrClockSet; t stays set.
func (t *Timer) At(when time.Time) error {
	if t != nil && t.w != nil && t.clock != Realtime {
		return fmt.Errorf("chanadapter: a timer needs the clock Realtime to expire at a time of day: %w", os.ErrInvalid)
	}
	value := unix.Timespec{Nsec: 1} // zero would mean never
	if when.After(time.Unix(0, 1)) {
		var err error
		if value, err = unix.TimeToTimespec(when); err != nil {
			return fmt.Errorf("chanadapter: a timer cannot expire at %v: %w", when, err)
		}
	}
	return t.set(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, unix.ItimerSpec{Value: value})
}

// Stop unsets t: it does not expire until it is set again. A token that is there
// already stays.
func (t *Timer) Stop() error {
	return t.set(0, unix.ItimerSpec{})
}

func (t *Timer) set(flags int, spec unix.ItimerSpec) error {
	if t == nil || t.w == nil {
		return ErrClosed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.w.Err(); err != nil {
		return err
	}
	if err := unix.TimerfdSettime(t.fd, flags, &spec, nil); err != nil && err != unix.ECANCELED {
		return fmt.Errorf("chanadapter: cannot set the timer: %w", os.NewSyscallError("timerfd_settime", err))
	}
	t.expirations, t.clockSet = 0, false // as the kernel does with its count
	return nil
}

// Expired returns how often t has expired since it was set or Expired was last
// called. It never blocks. The error is ErrClockSet if the wall clock was set
// since (see At), which is told once, and otherwise what Err returns.
func (t *Timer) Expired() (uint64, error) {
	if t == nil || t.w == nil {
		return 0, ErrClosed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.w.Err(); err != nil {
		return 0, err
	}
	if err := t.read(); err != nil {
		return 0, err
	}
	n, set := t.expirations, t.clockSet
	t.expirations, t.clockSet = 0, false
	if set {
		return n, ErrClockSet
	}
	return n, nil
}

// gather is the watching goroutine's, before each token. The kernel starts the
// next period of a timer only when the expiry before has been read, so a program
// that does not care how many there were would get no second token.
func (t *Timer) gather() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd >= 0 {
		_ = t.read() // Expired gets the same error
	}
}

// read adds to what Expired will return. t.mu is held.
func (t *Timer) read() error {
	var b [8]byte
	for {
		switch _, err := unix.Read(t.fd, b[:]); err {
		case nil:
			t.expirations += binary.NativeEndian.Uint64(b[:])
			return nil
		case unix.EINTR:
		case unix.EAGAIN:
			return nil
		case unix.ECANCELED:
			t.clockSet = true
			return nil
		default:
			return fmt.Errorf("chanadapter: cannot read the timer: %w", os.NewSyscallError("read", err))
		}
	}
}

// watcher is t's, or one that is closed.
func (t *Timer) watcher() *Watcher {
	if t == nil {
		return nil
	}
	return t.w
}

// C returns the channel to select on: see Watcher.C.
func (t *Timer) C() <-chan struct{} {
	if t.watcher() == nil {
		panic("chanadapter: C of a Timer that was not made by NewTimer")
	}
	return t.w.C()
}

// Wait takes a token, blocking until there is one: see Watcher.Wait.
func (t *Timer) Wait(ctx context.Context) error { return t.watcher().Wait(ctx) }

// Done returns a channel that is closed when no more tokens come.
func (t *Timer) Done() <-chan struct{} { return t.watcher().Done() }

// Err returns nil while t is open; ErrClosed after Close; or what broke.
func (t *Timer) Err() error { return t.watcher().Err() }

// Close ends t: once it has returned no token is put in any more, and the
// descriptor is closed. It may be called again. The error is nil.
func (t *Timer) Close() error { return t.watcher().Close() }
