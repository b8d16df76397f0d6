package notifier

// READ THIS FIRST. It holds the Notifier: its channel, its states, and
// everything a goroutine does with it. How a notification by foreign code gets
// from a bit in shared memory to the channel is poller.go and readyset.go.

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wakechan/wakechan/internal/cgosync"
	"github.com/wakechan/wakechan/internal/closing"
)

// ErrClosed is what a closed Notifier or Poller returns. errors.Is matches it with
// [os.ErrClosed].
var ErrClosed error = closing.Error("notifier")

// Notifier turns notifications, however many and from wherever, into a token in
// a channel. Make one with New or Poller.New; the zero Notifier is closed.
//
// A Notifier costs some 200 bytes, and some 100 more from the first Done or Wait that
// blocks: no descriptor, goroutine or thread of its own. All methods are safe from any goroutine at any time.
type Notifier struct {
	// ch holds at most one token. A token is put in under mu while state is
	// open, and taken out by anyone.
	ch chan struct{}

	// state:
	//
	//	open -> closed   Close, under mu
	//	open -> faulted  the poller broke, under mu
	//
	// Read without mu by Notify, which looks again under mu before it sends.
	state atomic.Uint32

	bubble bool // ch belongs to a testing/synctest bubble

	// owed:
	//
	//	0 -> 1  the poller, who has a token to put in and finds mu taken. It
	//	        does not wait: a thread of low priority may have mu.
	//	1 -> 0  who has mu, and then does it instead: see unlock.
	owed atomic.Uint32

	mu        sync.Mutex    // given back by unlock
	done      chan struct{} // made when first asked for
	poller    *Poller       // nil for one of New without a handle
	handle    Handle        // 0 until asked for
	delivered uint64
	coalesced uint64
}

const (
	open uint32 = iota
	closed
	faulted
)

// Stats counts what became of a Notifier's notifications. Most redundant ones
// are not in it: they end at the ready bit or at the sight of a full channel,
// where counting would cost more than the notification.
type Stats struct {
	Delivered uint64 // tokens put into the channel
	Coalesced uint64 // tokens dropped since the channel had one
}

// String is for logs.
func (s Stats) String() string {
	return fmt.Sprintf("%d delivered, %d coalesced", s.Delivered, s.Coalesced)
}

// New returns an open Notifier. Its Handle, if asked for, is served by the
// process-wide default poller.
func New() *Notifier { return newNotifier(nil) }

func newNotifier(p *Poller) *Notifier {
	n := &Notifier{ch: make(chan struct{}, 1), poller: p, bubble: inBubble()}
	if !n.bubble {
		topUpSpares()
	}
	return n
}

// C returns the channel to select on. It is always the same, has room for one
// token, and is never closed, so that a select loop cannot spin on it: Done
// says when no more tokens come.
//
// Having received, look at everything that may have been notified: any number
// of notifications leave one token. Data that the notifier's caller wrote before
// is visible if it is behind a mutex or sync/atomic; for plain memory use Wait.
func (n *Notifier) C() <-chan struct{} {
	if n == nil || n.ch == nil {
		panic("notifier: C of a Notifier that was not made by New")
	}
	return n.ch
}

// Notify puts a token in the channel unless there is one. It never blocks. It
// makes no system call of its own and involves no poller.
//
// It returns nil or, once the notifier is closed or its poller broken, what Err
// returns. Outside of the testing/synctest bubble that n was made in it returns an
// error instead of sending.
func (n *Notifier) Notify() error {
	if n == nil {
		return ErrClosed
	}
	n.raceNotify()
	// What the caller wrote before must be visible to whoever takes the token
	// that is seen here: the fence's partner is the one in absorb, or the unlock
	// of the channel in a plain receive. A send that is dropped on a full channel
	// would order nothing.
	fence()
	if n.state.Load() != open {
		return n.Err()
	}
	if len(n.ch) != 0 {
		return nil // no shared line was written
	}
	if n.bubble && !inBubble() {
		return errOutside
	}
	n.mu.Lock()
	if n.ch == nil || n.state.Load() != open {
		n.unlock()
		return n.Err()
	}
	n.put()
	n.unlock()
	return nil
}

var errOutside = errors.New("notifier: Notify from outside of the testing/synctest bubble that the notifier was made in: the send would end the process")

// put is called with mu held and state open.
func (n *Notifier) put() bool {
	select {
	case n.ch <- struct{}{}:
		n.delivered++
		return true
	default:
		n.coalesced++
		return false
	}
}

// deliver is the poller's: it passes a set ready bit on as a token, or leaves that to
// whoever has n's lock.
func (n *Notifier) deliver() {
	if !n.mu.TryLock() {
		// The partner is in unlock: the lock is given back, and then owed looked at;
		// here owed is stored, and then the lock looked at. One of the two sees the
		// other. The fence is there since TryLock looks by a plain load. And a swap, since
		// in race builds a store is no fence: see fence.
		n.owed.Swap(1)
		fence()
		if !n.mu.TryLock() {
			return
		}
	}
	n.pass()
	n.unlock()
}

// unlock gives mu back, and does what the poller wanted to do meanwhile.
func (n *Notifier) unlock() {
	n.mu.Unlock()
	for n.owed.Load() != 0 && n.mu.TryLock() {
		n.pass()
		n.mu.Unlock()
	}
}

// pass passes a set ready bit on as a token, with mu held. Clearing and sending are
// one step to Wait, Clear and Close, since all hold the lock.
func (n *Notifier) pass() {
	n.owed.Store(0) // before the bit is looked at: one that is set later is the poller's again
	if n.handle == 0 || n.state.Load() != open || !n.poller.set.clear(n.handle.index()) {
		return
	}
	// The partner of the fence in notify: the bit is clear for all to see
	// before the channel is looked at.
	fence()
	if n.put() {
		n.poller.counts.delivered.Add(1)
	} else {
		n.poller.counts.coalesced.Add(1)
	}
}

// Wait takes a token, blocking until there is one, and with it everything that
// was notified until it returns: none of that wakes anyone again. What the
// notifier's callers wrote before they notified is visible, plain memory too.
//
// It returns nil with a token; the cause of ctx's end ([context.Cause]); [ErrClosed]
// after Close; or the error that broke the poller. A token that is already there
// is taken whatever else is true. Several goroutines may wait: a token wakes one.
func (n *Notifier) Wait(ctx context.Context) error {
	if n == nil || n.ch == nil {
		return ErrClosed
	}
	select {
	case <-n.ch:
		n.absorb()
		return nil
	default:
	}
	select {
	case <-n.ch:
		n.absorb()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.Done():
		// A token put in before Close is still good.
		select {
		case <-n.ch:
			n.absorb()
			return nil
		default:
			return n.Err()
		}
	}
}

// Wakes is Wait in a loop:
//
//	for range n.Wakes(ctx) {
//		drain()
//	}
//	// ctx is done, or n.Err() says why no more come
//
// Nothing is lost by a break: what is notified later waits for the next Wait.
func (n *Notifier) Wakes(ctx context.Context) func(yield func() bool) {
	return func(yield func() bool) {
		for n.Wait(ctx) == nil {
			if !yield() {
				return
			}
		}
	}
}

// Clear drops what has been notified so far, without waiting, and reports whether
// there was anything. A notification that returned before Clear was called does
// not wake anyone any more.
func (n *Notifier) Clear() bool {
	if n == nil || n.ch == nil {
		return false
	}
	return n.absorb()
}

// absorb takes everything that was notified: the token, and the ready bit that
// would become one. It reports whether there was either.
func (n *Notifier) absorb() bool {
	had := n.take()
	cgosync.Acquire() // without the lock: a call of C may take long
	return had
}

func (n *Notifier) take() bool {
	n.mu.Lock()
	defer n.unlock()
	had := false
	select {
	case <-n.ch:
		had = true
	default:
	}
	// A closed notifier's index may be another's by now.
	if n.handle != 0 && n.state.Load() == open && n.poller.set.clear(n.handle.index()) {
		had = true
	}
	// The partner of the fence in notify and in Notify: the bit and the channel
	// are empty for all to see before the caller looks at the data.
	fence()
	n.raceTake()
	return had
}

var errBubble = errors.New("notifier: no handle inside a testing/synctest bubble: foreign code would send on the bubble's channel from outside, which ends the process. Use Notify there, or make the notifier and take its handle before synctest.Test")

// Handle returns the number by which foreign code notifies n: see Header, and
// [Handle.Notify] for Go. It is always the same one for n. The first call of any
// notifier starts its poller.
//
// A Notifier whose handle was taken lives until Close.
//
// Errors: [ErrClosed], or what broke the poller; an error that matches
// [errors.ErrUnsupported] where the system has no doorbell; one that names the
// limit when there are 2^20 handles, or no descriptor or memory for the poller;
// one that says why in a testing/synctest bubble. n works as before after each.
func (n *Notifier) Handle() (Handle, error) {
	if n == nil || n.ch == nil {
		return 0, ErrClosed
	}
	if inBubble() || n.bubble {
		return 0, errBubble
	}
	n.mu.Lock()
	defer n.unlock()
	if n.state.Load() != open {
		return 0, n.endErr()
	}
	if n.handle != 0 {
		return n.handle, nil
	}
	p := n.poller
	if p == nil {
		var err error
		if p, err = defaultPoller(); err != nil {
			return 0, err
		}
	}
	h, err := p.admit(n)
	if err != nil {
		return 0, err
	}
	n.poller, n.handle = p, h
	return h, nil
}

// Done returns a channel that is closed when no more tokens come: by Close, or
// because the poller broke. Err says which.
func (n *Notifier) Done() <-chan struct{} {
	if n == nil || n.ch == nil {
		return closing.Done
	}
	n.mu.Lock()
	defer n.unlock()
	if n.done == nil {
		if n.state.Load() != open {
			return closing.Done
		}
		n.done = newDone(n.bubble)
	}
	return n.done
}

// Err returns nil while n is open; [ErrClosed] after Close; and the reason if the
// poller broke.
func (n *Notifier) Err() error {
	if n == nil || n.ch == nil {
		return ErrClosed
	}
	n.mu.Lock()
	defer n.unlock()
	return n.endErr()
}

func (n *Notifier) endErr() error {
	switch n.state.Load() {
	case open:
		return nil
	case faulted:
		return n.poller.fault()
	default:
		return ErrClosed
	}
}

// Close ends n: once it has returned no token is put in any more, Notify returns
// [ErrClosed], and notifier_notify NOTIFIER_CLOSED, for ever. A token that was
// there can still be received. Close may be called again, by several goroutines
// and while others use n. The error is nil.
func (n *Notifier) Close() error {
	if n != nil && n.ch != nil {
		n.end(closed)
	}
	return nil
}

func (n *Notifier) end(as uint32) {
	n.mu.Lock()
	defer n.unlock()
	if n.state.Load() != open {
		return
	}
	n.state.Store(as)
	if n.handle != 0 {
		if n.poller.set.release(n.handle) {
			n.poller.lastClosed()
		}
	} else if n.poller != nil {
		n.poller.forget(n)
	}
	// Poller.Close may come from outside of the bubble that n was made in, where
	// closing its channel would end the process: who waits there still sees Err.
	if n.done != nil && (!n.bubble || inBubble()) {
		close(n.done)
	}
}

// Stats returns n's counts so far.
func (n *Notifier) Stats() Stats {
	if n == nil {
		return Stats{}
	}
	n.mu.Lock()
	defer n.unlock()
	return Stats{Delivered: n.delivered, Coalesced: n.coalesced}
}

// String says which notifier this is, for logs.
func (n *Notifier) String() string {
	if n == nil {
		return "Notifier(nil)"
	}
	n.mu.Lock()
	defer n.unlock()
	return fmt.Sprintf("Notifier(%#x)", uint64(n.handle))
}
