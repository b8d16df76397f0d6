package chanadapter

// This file holds Timer: a timerfd, watched. It is there for what time.Timer
// cannot do; for anything else that is the better one. The system's calls are in
// timer_linux.go.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/wakechan/wakechan/internal/unlabelled"
)

// Clock is what a Timer goes by.
type Clock int

// The clocks have Linux's numbers.
const (
	// Realtime is the wall clock. A Timer set by At expires when the wall clock
	// shows that time, however it is set meanwhile, and tells if it is set.
	Realtime Clock = 0
	// Boottime counts the time since boot, also while the machine is suspended,
	// where the clock of time.Timer stands still.
	Boottime Clock = 7
)

// String returns the clock's name.
func (c Clock) String() string {
	switch c {
	case Realtime:
		return "realtime"
	case Boottime:
		return "boottime"
	default:
		return fmt.Sprintf("Clock(%d)", int(c))
	}
}

// ErrClockSet is what [Timer.Expired] returns when the wall clock was set.
var ErrClockSet = errors.New("chanadapter: the wall clock was set")

// Timer puts a token in a channel when it expires, by a clock that time.Timer
// does not have: see Clock and timerfd_create(2). Make one with [NewTimer]; the
// zero Timer is closed. All methods are safe from any goroutine at any time.
//
// A periodic Timer whose token nobody takes costs nothing: it waits, in a goroutine of
// its own, until the token is taken. Its expirations are counted meanwhile.
type Timer struct {
	w     *Watcher // of fd. Its token is not used: tokens has the timer's.
	clock Clock

	tokens chan struct{} // room for one

	mu sync.Mutex // held while fd is used, and to close it
	fd int        // -1 once it is closed

	// What was read from fd since t was set or Expired was last called.
	expirations uint64
	clockSet    bool

	// delayed is the token that had no room when t expired, or nil.
	delayed *delayedToken
}

// delayedToken is put in as soon as the one before it is taken, by a goroutine.
type delayedToken struct {
	drop  chan struct{} // closed to end the goroutine
	ended chan struct{} // closed by the goroutine
}

// expiry is when a timer expires: at when if that is set, and otherwise after a time, and
// every so often from then on.
type expiry struct {
	when         time.Time
	absolute     bool
	after, every time.Duration // 0: never
}

// NewTimer returns a Timer that is not set. It has a descriptor of its own, until
// Close. The error is the system's, or Watch's. It matches [errors.ErrUnsupported] where
// there is no such timer: it exists on Linux, unless a sandbox denies it.
func NewTimer(clock Clock) (*Timer, error) {
	fd, err := createTimer(clock)
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no timer: %w", err)
	}
	t := &Timer{clock: clock, fd: fd, tokens: make(chan struct{}, 1)}
	t.w, err = watch(uintptr(fd), t.free, t.expire, nil)
	if err != nil {
		t.free()
		return nil, err
	}
	return t, nil
}

func (t *Timer) free() {
	t.mu.Lock()
	defer t.mu.Unlock()
	closeDescriptor(uintptr(t.fd))
	t.fd = -1
}

// After sets t to expire once, d from now: at once if d is not positive. What was
// set before is forgotten, but a token of it that is there already stays. The
// error is [ErrClosed], or what ended t.
func (t *Timer) After(d time.Duration) error {
	return t.set(expiry{after: max(d, 1)})
}

// Every sets t to expire every d from now on. If t expires again while a token is
// there, the next token comes as soon as that one is received, and stands for all
// expirations until then. Expired tells how many there were, and need not be called. d
// must be positive.
func (t *Timer) Every(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("chanadapter: a timer cannot expire every %v: %w", d, os.ErrInvalid)
	}
	return t.set(expiry{after: d, every: d})
}

// At sets t, whose clock must be Realtime, to expire when the wall clock shows
// when: at once if it does so already. If the wall clock is set before, by a
// person or a big step of NTP, there is a token too, and Expired returns
// [ErrClockSet]; t stays set.
func (t *Timer) At(when time.Time) error {
	if t != nil && t.w != nil && t.clock != Realtime {
		return fmt.Errorf("chanadapter: a timer needs the clock Realtime to expire at a time of day: %w", os.ErrInvalid)
	}
	return t.set(expiry{when: when, absolute: true})
}

// Stop unsets t: it does not expire until it is set again. A token that is there
// already stays.
func (t *Timer) Stop() error { return t.set(expiry{}) }

func (t *Timer) set(e expiry) error {
	if t == nil || t.w == nil {
		return ErrClosed
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.w.Err(); err != nil {
		return err
	}
	if err := setTimer(t.fd, e); err != nil {
		return fmt.Errorf("chanadapter: cannot set the timer: %w", err)
	}
	t.dropDelayed()
	t.expirations, t.clockSet = 0, false // as the kernel does with its count
	return nil
}

// Expired returns how often t has expired since it was set or Expired was last
// called. It never blocks. The error is [ErrClockSet] if the wall clock was set
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
		return 0, fmt.Errorf("chanadapter: cannot read the timer: %w", err)
	}
	n, set := t.expirations, t.clockSet
	t.expirations, t.clockSet = 0, false
	if set {
		return n, ErrClockSet
	}
	return n, nil
}

// expire is the watching goroutine's, when fd is readable. At worst it comes once more
// after free.
//
// The kernel starts the next period of a timer only when the expiry before has been
// read: it counts the periods that were missed, and runs no timer meanwhile. So t
// is read when a token was put in, and not before: what nobody receives costs nothing.
func (t *Timer) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 || t.delayed != nil {
		return
	}
	select {
	case t.tokens <- struct{}{}:
		_ = t.read() // Expired gets the same error
	default:
		d := &delayedToken{make(chan struct{}), make(chan struct{})}
		t.delayed = d
		unlabelled.Go(func() { t.putDelayed(d) })
	}
}

// putDelayed is a goroutine: it waits until a token is taken, and puts in d.
func (t *Timer) putDelayed(d *delayedToken) {
	put := false
	select {
	case t.tokens <- struct{}{}:
		put = true
	case <-d.drop:
	case <-t.w.Done():
	}
	close(d.ended)
	if !put {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.delayed != d {
		return // dropped, and so t was set anew or closed
	}
	t.delayed = nil
	if t.fd >= 0 {
		_ = t.read()
	}
}

// dropDelayed ends the goroutine that has a token to put in: it does so now, or not any
// more. t.mu is held.
func (t *Timer) dropDelayed() {
	if t.delayed != nil {
		close(t.delayed.drop)
		<-t.delayed.ended
		t.delayed = nil
	}
}

// read adds to what Expired will return. t.mu is held.
func (t *Timer) read() error {
	n, clockSet, err := readTimer(t.fd)
	t.expirations += n
	t.clockSet = t.clockSet || clockSet
	return err
}

// watcher is t's, or one that is closed.
func (t *Timer) watcher() *Watcher {
	if t == nil {
		return nil
	}
	return t.w
}

// C returns the channel to select on. It is always the same, has room for one
// token, and is never closed: Done says when no more tokens come.
func (t *Timer) C() <-chan struct{} {
	if t.watcher() == nil {
		panic("chanadapter: C of a Timer that was not made by NewTimer")
	}
	return t.tokens
}

// Wait takes a token, blocking until there is one. It returns nil with a token; the
// cause of ctx's end ([context.Cause]); [ErrClosed] after Close; or what ended t. A token
// that is there already is taken whatever else is true. Several goroutines may wait: a
// token wakes one.
func (t *Timer) Wait(ctx context.Context) error {
	if t.watcher() == nil {
		return ErrClosed
	}
	select {
	case <-t.tokens:
		return nil
	default:
	}
	select {
	case <-t.tokens:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.w.Done():
		select {
		case <-t.tokens: // put in before Close
			return nil
		default:
			return t.w.Err()
		}
	}
}

// Done returns a channel that is closed when no more tokens come.
func (t *Timer) Done() <-chan struct{} { return t.watcher().Done() }

// Err returns nil while t is open; [ErrClosed] after Close; or what broke.
func (t *Timer) Err() error { return t.watcher().Err() }

// String says which timer this is, for logs.
func (t *Timer) String() string {
	if t == nil {
		return "Timer(nil)"
	}
	if t.w == nil {
		return "Timer(closed)"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 {
		return "Timer(closed)"
	}
	return fmt.Sprintf("Timer(%d)", t.fd)
}

// Close ends t: once it has returned no token is put in any more, and the
// descriptor is closed. It may be called again. The error is nil.
func (t *Timer) Close() error {
	if t.watcher() == nil {
		return nil
	}
	_ = t.w.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropDelayed()
	return nil
}
