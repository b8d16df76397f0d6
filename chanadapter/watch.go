package chanadapter

// READ THIS FIRST. It holds Watch and the Watcher: what a program asks for and
// gets. Many Watchers in one channel are group.go. How one goroutine serves all of
// them is watchset.go; the systems' calls are in watch_*.go.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/internal/closing"
	"github.com/wakechan/wakechan/notifier"
)

// ErrClosed is what a closed Watcher, Group, [EventFD] or Timer returns. errors.Is
// matches it with [os.ErrClosed].
var ErrClosed error = closing.Error("chanadapter")

// Events says what a descriptor was found ready for.
type Events uint32

// The events.
const (
	// EventRead: a read would not block; for a listening socket an accept.
	EventRead Events = 1 << iota
	// EventWrite: a write would not block.
	EventWrite
	// EventPriority: exceptional data, as poll(2) says for POLLPRI: out of band
	// on a socket, a changed sysfs attribute.
	EventPriority
	// EventHangUp: the other side has closed, or will send no more. What it sent
	// before can still be read. It comes without being asked for.
	EventHangUp
	// EventError: an error is pending; reading or writing tells which. It comes
	// without being asked for.
	EventError
)

// Has reports whether e has all events of which.
func (e Events) Has(which Events) bool { return e&which == which }

// String returns the events' names, such as "read|hang-up".
func (e Events) String() string {
	if e == 0 {
		return "none"
	}
	var names []string
	for i, name := range []string{"read", "write", "priority", "hang-up", "error"} {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Poll returns e as the bits of poll(2), which most libraries use: POLLIN, POLLOUT,
// POLLPRI, POLLHUP and POLLERR with this system's values (on Windows those of
// WSAPoll).
func (e Events) Poll() (bits int16) {
	for _, p := range pollBits {
		if e&p.event != 0 {
			bits |= p.bit
		}
	}
	return bits
}

// FromPoll returns the Events that stand for the bits of poll(2): the reverse of
// [Events.Poll]. POLLNVAL is taken as [EventError], Linux's POLLRDHUP as [EventHangUp], and
// other bits as nothing.
func FromPoll(bits int16) (e Events) {
	for _, p := range pollBits {
		if bits&p.bit != 0 {
			e |= p.event
		}
	}
	if bits&pollHalfClosed != 0 {
		e |= EventHangUp
	}
	if bits&pollInvalid != 0 {
		e |= EventError
	}
	return e
}

// Option sets up a Watcher. The zero Option does nothing.
type Option struct {
	// It is not a function, as the options of constructors are: Change takes it too, in
	// each round of some loops, and must not allocate. A function that keeps an argument
	// would be on the heap, and so would what it is called with.
	interest
	group    *Group
	inGroup  bool
	value    any
	hasValue bool
}

// interest is what a Watcher is to be told of.
type interest struct {
	// events are of EventRead, EventWrite and EventPriority; or EventHangUp, if
	// nothing else was asked for.
	events  Events
	oneShot bool
}

// OneShot makes each token the last until Rearm or Change: the descriptor is
// watched again from then on, with a token at once if it is ready. It is for
// readers that take only a part of what is there. Without it the watch is
// edge-triggered: a token for each "became ready since". A reader that stops before
// a read would block then hears of the rest only when more comes.
func OneShot() Option { return Option{interest: interest{oneShot: true}} }

// Readable watches for input. It is what a Watcher does unless another interest is
// given; give it with Writable to have both.
func Readable() Option { return Interest(EventRead) }

// Writable watches for room to write, or a connection made.
func Writable() Option { return Interest(EventWrite) }

// Priority watches for exceptional data: see [EventPriority]. Only Linux has it;
// elsewhere Watch returns an error that matches [errors.ErrUnsupported].
func Priority() Option { return Interest(EventPriority) }

// HangUp watches for [EventHangUp] and [EventError] and nothing else. Both come with
// every other interest too.
func HangUp() Option { return Interest(EventHangUp) }

// Interest watches for e, as Readable, Writable, Priority and [HangUp] together do. It
// is for interests that a library gives: Interest(FromPoll(bits)). No event at all
// is HangUp, as in poll(2).
func Interest(e Events) Option {
	e &= EventRead | EventWrite | EventPriority
	if e == 0 {
		e = EventHangUp
	}
	return Option{interest: interest{events: e}}
}

// WithValue makes v what Watcher.Value returns: for whoever gets the Watcher from
// [Group.Ready].
func WithValue(v any) Option { return Option{value: v, hasValue: true} }

// In puts the Watcher into g. It has no channel of its own: its tokens are the
// group's, and [Group.Ready] says which Watchers they are for.
func In(g *Group) Option { return Option{group: g, inGroup: true} }

// gather adds up what the options say.
func gather(opts []Option) (all Option) {
	for i := range opts {
		o := &opts[i]
		all.events |= o.events
		all.oneShot = all.oneShot || o.oneShot
		if o.inGroup {
			all.group, all.inGroup = o.group, true
		}
		if o.hasValue {
			all.value, all.hasValue = o.value, true
		}
	}
	switch {
	case all.events == 0:
		all.events = EventRead
	case all.events != EventHangUp:
		all.events &^= EventHangUp // which comes anyway
	}
	return all
}

// Watcher turns the readiness of a descriptor, or the signal of a Windows handle,
// into tokens in a channel. Make one with Watch; the zero Watcher is closed.
type Watcher struct {
	n     *notifier.Notifier // nil in a group
	group *Group             // nil outside of one
	reg   *registration      // set by enlist
	value any

	// ready gathers events (or) until Ready takes them all (exchange with 0).
	// The watching goroutine adds before it puts the token, so whoever has the
	// token finds the events.
	ready atomic.Uint32

	// fault is why it ended, if not by Close. Set before n is closed.
	fault atomic.Pointer[error]

	closeOnce sync.Once
	release   func() // frees the descriptor if it is ours; or nil
	seen      func() // is told of events before the token is put in; or nil

	interest        // under the set's mu, as are:
	armed    bool   // a OneShot Watcher may get a token
	told     bool   // it was told of a hang-up
	missed   Events // what came while it was not armed, and will not come again

	member // what its group needs
}

var errBubble = errors.New("chanadapter: no Watch inside a testing/synctest bubble: its goroutine would send on the bubble's channel from outside, which ends the process. Make it before synctest.Test")

// Watch begins to watch fd, which stays its owner's: see the package's notes on
// who owns what. If it is ready by now there is a token at once.
//
// Several Watchers of one descriptor are allowed, each with an interest of its own.
// A token may then come for nothing, since the system does not tell for which of
// their interests it found the descriptor ready.
//
// On Windows fd is a waitable handle, for which there is no other interest than
// Readable.
//
// A Watcher lives until Close.
//
// Errors name fd and the reason, and wrap the system's: EBADF when it is not
// open, or was opened with O_PATH; EPERM when Linux's epoll cannot watch it, since
// it is always ready (a regular file, a directory, a device such as /dev/null).
// Others match [errors.ErrUnsupported] where the system has no such thing, [ErrClosed]
// when the group of In is closed, or say which limit was reached.
func Watch(fd uintptr, opts ...Option) (*Watcher, error) {
	return watch(fd, nil, nil, opts)
}

// watch is Watch. If it succeeds, release is called once the watch is closed. The
// watching goroutine calls seen, which must not block, for all Watchers; at worst
// once more after release.
func watch(fd uintptr, release, seen func(), opts []Option) (*Watcher, error) {
	if bubble.In() {
		return nil, errBubble
	}
	asked := gather(opts)
	w := &Watcher{group: asked.group, value: asked.value, release: release, seen: seen, interest: asked.interest, armed: true}
	if asked.inGroup {
		if err := asked.group.admit(w); err != nil {
			return nil, err
		}
	} else {
		w.n = notifier.New()
	}
	if err := enlist(w, fd); err != nil {
		w.end(nil)
		return nil, err
	}
	if w.group != nil {
		if err := w.group.settle(w); err != nil {
			discharge(w)
			return nil, err
		}
	}
	return w, nil
}

// C returns the channel to select on. It is always the same, has room for one
// token, and is never closed: Done says when no more tokens come. In a Group it is
// the group's: range over [Group.Ready] after each token.
//
// Having received, read (or write) until it would block: any number of events
// leave one token. A token without anything to do is possible, a missing one not.
func (w *Watcher) C() <-chan struct{} {
	if w == nil || w.reg == nil {
		panic("chanadapter: C of a Watcher that was not made by Watch")
	}
	return w.notifier().C()
}

func (w *Watcher) notifier() *notifier.Notifier {
	if w.group != nil {
		return w.group.n
	}
	return w.n
}

// Value returns what [WithValue] was given to Watch, or nil.
func (w *Watcher) Value() any {
	if w == nil {
		return nil
	}
	return w.value
}

// Wait takes a token, blocking until there is one. It returns nil with a token;
// the cause of ctx's end ([context.Cause]); [ErrClosed] after Close; or what ended
// the watch. Several goroutines may wait: a token wakes one. In a Group it takes
// the group's token: range over [Group.Ready] then.
func (w *Watcher) Wait(ctx context.Context) error {
	if w == nil || w.reg == nil {
		return ErrClosed
	}
	if w.group != nil {
		return w.group.waitFor(ctx, w)
	}
	return waitFor(ctx, w.n, w.Err)
}

// waitFor is n.Wait for a type whose end is told by err. The error does not tell who
// ended: a context's cause can be anything, ErrClosed too.
func waitFor(ctx context.Context, n *notifier.Notifier, err func() error) error {
	if n.Wait(ctx) == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return err()
	}
}

// Ready returns what the descriptor was found ready for since Ready was last
// called, and forgets it. Whoever has just received a token finds the events that
// the token is for, unless another call took them. Events that arrive afterwards
// come with a token of their own. In a Group, [Group.Ready] has called it already.
func (w *Watcher) Ready() Events {
	if w == nil {
		return 0
	}
	return Events(w.ready.Swap(0))
}

// Rearm asks the system to look anew: if the descriptor is ready now there is a
// token, whether or not it had been announced. With [OneShot] it, or Change, must be
// called before there is another token. It may be called at any time.
//
// It returns [ErrClosed] after Close, or what ended the watch; an error that
// wraps EBADF if the owner has closed the descriptor, which also ends the watch.
func (w *Watcher) Rearm() error {
	if w == nil || w.reg == nil {
		return ErrClosed
	}
	return w.reg.set.rearm(w, interest{}, false)
}

// Change gives w another interest, as Watch would, and looks anew as Rearm does:
// what was asked for before is forgotten, [OneShot] too. On Linux it is one system
// call and allocates nothing. It takes no In and no [WithValue].
//
// It returns Rearm's errors; one that matches [errors.ErrUnsupported] where the system
// has no such interest; and one that matches [os.ErrInvalid] for In and WithValue.
// After these two w is as it was.
func (w *Watcher) Change(opts ...Option) error {
	if w == nil || w.reg == nil {
		return ErrClosed
	}
	asked := gather(opts)
	if asked.inGroup || asked.hasValue {
		return fmt.Errorf("chanadapter: In and WithValue are for Watch, and cannot be changed: %w", os.ErrInvalid)
	}
	return w.reg.set.rearm(w, asked.interest, true)
}

// Done returns a channel that is closed when no more tokens come: by Close, or
// for the reason that Err returns.
func (w *Watcher) Done() <-chan struct{} {
	switch {
	case w == nil || w.reg == nil:
		return closing.Done
	case w.group != nil:
		return w.group.doneOf(w)
	default:
		return w.n.Done()
	}
}

// Err returns nil while the descriptor is watched; [ErrClosed] after Close; and
// otherwise why it is not watched any more: its owner has closed it and the
// number was given to another file, or the watching itself broke.
func (w *Watcher) Err() error {
	if w == nil || w.reg == nil {
		return ErrClosed
	}
	if !w.ended() {
		return nil
	}
	if fault := w.fault.Load(); fault != nil {
		return *fault
	}
	return ErrClosed
}

func (w *Watcher) ended() bool {
	if w.group != nil {
		return w.group.ended(w)
	}
	return w.n.Err() != nil
}

// Close ends the watch. Once it has returned, no token is put in any more, and
// the library does not touch the descriptor, nor whatever its number names
// later. A token that was there can still be received. Close may be called
// again, by several goroutines and while others use w. The error is nil.
func (w *Watcher) Close() error {
	if w == nil || w.reg == nil {
		return nil
	}
	w.closeOnce.Do(func() {
		discharge(w)
		if w.release != nil {
			w.release()
		}
	})
	return nil
}

// String says what w watches, for logs.
func (w *Watcher) String() string {
	if w == nil || w.reg == nil {
		return "Watcher(closed)"
	}
	state := ""
	if w.ended() {
		state = ", closed"
	}
	return fmt.Sprintf("Watcher(%s %d: %v%s)", thing, int(w.reg.fd), w.reg.set.interestOf(w).words(), state)
}

func (i interest) words() string {
	if i.oneShot {
		return i.events.String() + ", one-shot"
	}
	return i.events.String()
}

// announce is the watching goroutine's: it passes events on as a token.
func (w *Watcher) announce(e Events) {
	if w.seen != nil {
		w.seen()
	}
	if w.group != nil {
		w.group.announce(w, e)
		return
	}
	w.ready.Or(uint32(e))
	_ = w.n.Notify() // closed meanwhile: nobody wants to know
}

// end ends w's tokens, with the reason if it was not by Close.
func (w *Watcher) end(reason error) {
	if reason != nil {
		w.fault.CompareAndSwap(nil, &reason)
	}
	if w.group != nil {
		w.group.dismiss(w, reason != nil)
		return
	}
	_ = w.n.Close()
}
