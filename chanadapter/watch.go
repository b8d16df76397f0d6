package chanadapter

// READ THIS FIRST. It holds Watch and the Watcher: what a program asks for and
// gets. How one goroutine serves all of them is watchset.go; the systems' calls
// are in watch_*.go.

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/notifier"
)

// ErrClosed is what a closed Watcher, EventFD or Timer returns. It is
// os.ErrClosed, so errors.Is works with either name.
var ErrClosed = notifier.ErrClosed

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

// Option sets up a Watcher.
type Option func(*interest)

// interest is what a Watcher is to be told of.
type interest struct {
	events Events // of EventRead, EventWrite, EventPriority
	level  bool
}

// Level makes each token the last until Rearm: the descriptor is watched again
// from then on, with a token at once if it is ready still. It is for readers that
// take a part only. Without it the watch is edge-triggered: a token for each
// "became ready since", and a reader that stops before a read would block hears
// of the rest only when more comes.
func Level() Option { return func(i *interest) { i.level = true } }

// Readable watches for input. It is what a Watcher does unless Writable or
// Priority is given; give it with them to have both.
func Readable() Option { return func(i *interest) { i.events |= EventRead } }

// Writable watches for room to write, or a connection made.
func Writable() Option { return func(i *interest) { i.events |= EventWrite } }

// Priority watches for exceptional data: see EventPriority. Only Linux has it;
// elsewhere Watch returns an error that matches errors.ErrUnsupported.
func Priority() Option { return func(i *interest) { i.events |= EventPriority } }

// Watcher turns the readiness of a descriptor, or the signal of a Windows handle,
// into tokens in a channel. Make one with Watch; the zero Watcher is closed.
type Watcher struct {
	n   *notifier.Notifier
	set *watchSet
	fd  uintptr
	key uintptr // names it to the kernel; see watchSet.byKey
	interest

	// ready gathers events (or) until Ready takes them all (exchange with 0).
	// The watching goroutine adds before it puts the token, so whoever has the
	// token finds the events.
	ready atomic.Uint32

	// fault is why it ended, if not by Close. Set before n is closed.
	fault atomic.Pointer[error]

	closeOnce sync.Once
	release   func() // frees the descriptor if it is ours; or nil
	seen      func() // is told of events before the token is put in; or nil
}

var errBubble = errors.New("chanadapter: no Watch inside a testing/synctest bubble: its goroutine would send on the bubble's channel from outside, which ends the process. Make it before synctest.Test")

// Watch begins to watch fd, which stays its owner's: see the package's notes on
// who owns what. If it is ready by now there is a token at once.
//
// On Windows fd is a waitable handle, for which there is no other direction than
// Readable.
//
// A Watcher lives until Close.
//
// Errors name fd and the reason, and wrap the system's: EBADF when it is not
// open, EPERM when Linux's epoll cannot watch it (a regular file or directory, which is
// always ready), EEXIST when it is watched already. Others match
// errors.ErrUnsupported where the system has no such thing, or say which limit
// was reached.
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
	var asked interest
	for _, opt := range opts {
		opt(&asked)
	}
	if asked.events == 0 {
		asked.events = EventRead
	}
	n, err := notifier.New()
	if err != nil {
		return nil, err
	}
	w := &Watcher{n: n, fd: fd, interest: asked, release: release, seen: seen}
	if err := enlist(w); err != nil {
		return nil, err
	}
	return w, nil
}

// C returns the channel to select on. It is always the same, has room for one
// token, and is never closed: Done says when no more tokens come.
//
// Having received, read (or write) until it would block: any number of events
// leave one token. A token without anything to do is possible, a missing one not.
func (w *Watcher) C() <-chan struct{} {
	if w == nil || w.n == nil {
		panic("chanadapter: C of a Watcher that was not made by Watch")
	}
	return w.n.C()
}

// Wait takes a token, blocking until there is one. It returns nil with a token;
// the cause of ctx's end (context.Cause); ErrClosed after Close; or what ended
// the watch. Several goroutines may wait: a token wakes one.
func (w *Watcher) Wait(ctx context.Context) error {
	if w == nil || w.n == nil {
		return ErrClosed
	}
	err := w.n.Wait(ctx)
	if err == ErrClosed {
		return w.Err()
	}
	return err
}

// Ready returns what the descriptor was found ready for since Ready was last
// called, and forgets it. Whoever has just received a token finds the events that
// the token is for, unless another call took them. Events that arrive afterwards
// come with a token of their own.
func (w *Watcher) Ready() Events {
	if w == nil {
		return 0
	}
	return Events(w.ready.Swap(0))
}

// Rearm asks the system to look anew: if the descriptor is ready now there is a
// token, whether or not it had been announced. With Level it must be called
// before there is another token. It may be called at any time.
//
// It returns ErrClosed after Close, or what ended the watch; an error that
// wraps EBADF if the owner has closed the descriptor, which also ends the watch.
func (w *Watcher) Rearm() error {
	if w == nil || w.n == nil {
		return ErrClosed
	}
	return w.set.rearm(w)
}

// Done returns a channel that is closed when no more tokens come: by Close, or
// for the reason that Err returns.
func (w *Watcher) Done() <-chan struct{} {
	if w == nil {
		return (*notifier.Notifier)(nil).Done()
	}
	return w.n.Done()
}

// Err returns nil while the descriptor is watched; ErrClosed after Close; and
// otherwise why it is not watched any more: its owner has closed it and the
// number was given to another file, or the watching itself broke.
func (w *Watcher) Err() error {
	if w == nil {
		return ErrClosed
	}
	err := w.n.Err()
	if fault := w.fault.Load(); err != nil && fault != nil {
		return *fault
	}
	return err
}

// Close ends the watch. Once it has returned, no token is put in any more, and
// the library does not touch the descriptor, nor whatever its number names
// later. A token that was there can still be received. Close may be called
// again, by several goroutines and while others use w. The error is nil.
func (w *Watcher) Close() error {
	if w == nil || w.n == nil {
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

// announce is the watching goroutine's: it passes events on as a token.
func (w *Watcher) announce(e Events) {
	w.ready.Or(uint32(e))
	if w.seen != nil {
		w.seen()
	}
	_ = w.n.Notify() // closed meanwhile: nobody wants to know
}

// end closes w's notifier, with the reason if it was not by Close.
func (w *Watcher) end(reason error) {
	if reason != nil {
		w.fault.CompareAndSwap(nil, &reason)
	}
	_ = w.n.Close()
}
