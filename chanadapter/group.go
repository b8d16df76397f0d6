package chanadapter

// This file holds the Group: one channel for many Watchers, and the list of those
// that became ready.

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/internal/closing"
	"github.com/wakechan/wakechan/notifier"
)

// Group is one channel for many Watchers, which are put into it by the option In. It
// is for libraries that have many descriptors, or change which: one select, and then
// Ready has what became ready:
//
//	g := chanadapter.NewGroup()
//	defer g.Close()
//	w, err := chanadapter.Watch(fd, chanadapter.In(g), chanadapter.WithValue(conn))
//	for {
//		select {
//		case <-g.C():
//			for w, events := range g.Ready() {
//				handle(w.Value(), events)
//			}
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
//
// Whoever received a token owes the group a loop over Ready: the token may be for all that
// becomes ready until then.
//
// All methods are safe from any goroutine at any time. Make one with [NewGroup]; the
// zero Group is closed. Its Watchers live until they or the group are closed.
type Group struct {
	n      *notifier.Notifier
	bubble bool // made in a testing/synctest bubble, so that no Watcher may send

	mu       sync.Mutex // taken after a set's mu, never before
	closed   bool
	members  list // all Watchers that are not closed
	waiting  list // those that Ready has to tell of, in the order found
	watching int  // how many of them have not broken
	queued   int  // how many are waiting

	own      *watchSet // the set that only this group has, once it was large
	expected bool      // there is something to collect in own
}

// largeGroup is how many Watchers a group has before more of them get a set of its own:
// three descriptors and a goroutine. In the set of all, the goroutine wakes for each few
// that become ready or are rearmed while the receiver works.
var largeGroup = 32

// member is what a Watcher has for its group. It is under the group's mu.
type member struct {
	all, queue link
	done       chan struct{} // made when first asked for
	state      memberState
	listed     bool // in members
	isQueued   bool // in waiting
}

type memberState uint8

const (
	outside memberState = iota // never admitted, or gone
	inside
)

// list is a list of Watchers, each of which has the links. A Watcher can be removed
// from anywhere in it without a search.
type list struct{ first, last *Watcher }

type link struct{ previous, next *Watcher }

func (l *list) append(w *Watcher, of func(*Watcher) *link) {
	*of(w) = link{previous: l.last}
	if l.last == nil {
		l.first = w
	} else {
		of(l.last).next = w
	}
	l.last = w
}

func (l *list) remove(w *Watcher, of func(*Watcher) *link) {
	at := *of(w)
	if at.previous == nil {
		l.first = at.next
	} else {
		of(at.previous).next = at.next
	}
	if at.next == nil {
		l.last = at.previous
	} else {
		of(at.next).previous = at.previous
	}
	*of(w) = link{}
}

func byAll(w *Watcher) *link   { return &w.all }
func byQueue(w *Watcher) *link { return &w.queue }

// NewGroup returns a Group without Watchers.
func NewGroup() *Group {
	return &Group{n: notifier.New(), bubble: bubble.In()}
}

// C returns the channel to select on. It is always the same, has room for one token,
// and is never closed. Having received, range over Ready.
func (g *Group) C() <-chan struct{} {
	if g == nil || g.n == nil {
		panic("chanadapter: C of a Group that was not made by NewGroup")
	}
	return g.n.C()
}

// Wait takes a token, blocking until there is one: range over Ready then. It returns
// nil with a token; the cause of ctx's end ([context.Cause]); or [ErrClosed] after
// Close. Several goroutines may wait: a token wakes one.
func (g *Group) Wait(ctx context.Context) error {
	if g == nil || g.n == nil {
		return ErrClosed
	}
	return waitFor(ctx, g.n, g.Err)
}

// Ready yields each Watcher that became ready since Ready was last ranged over, with
// what it was found ready for: each once, in the order found. It takes time
// proportional to their number, whatever the size of the group. It does not block,
// and needs no token.
//
// What becomes ready during the loop has a token, and is yielded by the next one. So
// a Watcher that is always ready does not keep others from their turn, and the loop
// ends. After a break the rest is kept, and there is a token for it. The loop
// may watch, change, rearm and close: a Watcher that it closes is not yielded
// afterwards. Several goroutines may range: each Watcher goes to one of them.
//
// A Watcher that broke ([Watcher.Err] says why) is yielded once more, with [EventError].
func (g *Group) Ready() iter.Seq2[*Watcher, Events] {
	return func(yield func(*Watcher, Events) bool) {
		if g == nil || g.n == nil {
			return
		}
		left := g.begin()
		defer func() {
			if left > 0 { // a break, or a panic
				g.renew()
			}
		}()
		for left > 0 {
			w, e := g.take()
			if w == nil {
				left = 0
				return
			}
			left--
			if e != 0 && !yield(w, e) {
				return
			}
		}
	}
}

// begin collects, drops the token, which is for what is waiting now, and returns how
// many wait. From here on the goroutine puts a token again.
func (g *Group) begin() int {
	g.mu.Lock()
	own, expected := g.own, g.expected
	g.expected = false
	g.mu.Unlock()
	if expected {
		own.collect()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n.Clear()
	if g.expected { // already again
		_ = g.n.Notify()
	}
	return g.queued
}

// expect puts the token for what begin is to collect.
func (g *Group) expect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.expected = true
	_ = g.n.Notify()
}

// adopt makes s the group's own.
func (g *Group) adopt(s *watchSet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.own = s
}

func (g *Group) ownSet() *watchSet {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.own
}

// size is how many Watchers have not broken.
func (g *Group) size() int {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watching
}

// renew puts a token for what waits still.
func (g *Group) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.queued > 0 {
		_ = g.n.Notify()
	}
}

// take takes the first of those that wait.
func (g *Group) take() (*Watcher, Events) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := g.waiting.first
	if w == nil {
		return nil, 0
	}
	g.dequeue(w)
	return w, w.Ready()
}

// announce has Ready tell of w. What began before w was closed may come here late.
func (g *Group) announce(w *Watcher, e Events) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.state == inside {
		g.enqueue(w, e)
	}
}

// enqueue is called with mu held.
func (g *Group) enqueue(w *Watcher, e Events) {
	w.ready.Or(uint32(e))
	if w.isQueued {
		return // and it has a token, or a loop over Ready is about to come to it
	}
	w.isQueued = true
	g.queued++
	g.waiting.append(w, byQueue)
	_ = g.n.Notify()
}

// dequeue is called with mu held.
func (g *Group) dequeue(w *Watcher) {
	w.isQueued = false
	g.queued--
	g.waiting.remove(w, byQueue)
}

// waitFor is Wait for w, one of the group's.
func (g *Group) waitFor(ctx context.Context, w *Watcher) error {
	select {
	case <-g.C():
		return nil
	default:
	}
	select {
	case <-g.C():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-g.Done():
		return ErrClosed
	case <-w.Done():
		return w.Err()
	}
}

// admit makes w one of the group's, so that what is found while Watch is under way is
// told of.
func (g *Group) admit(w *Watcher) error {
	if g == nil || g.n == nil {
		return errGroupClosed
	}
	if g.bubble {
		return errBubble
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errGroupClosed
	}
	w.state = inside
	return nil
}

// settle follows admit when w is being watched: from now on Close closes it.
func (g *Group) settle(w *Watcher) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errGroupClosed
	}
	w.listed = true
	g.members.append(w, byAll)
	if w.state == inside { // it may have broken
		g.watching++
	}
	return nil
}

var errGroupClosed error = fmt.Errorf("chanadapter: the Group of In is closed, or was not made by NewGroup: %w", ErrClosed)

// dismiss ends w's being one of the group's. If it broke, Ready tells of it once
// more: nobody waits for the Done of each of many. It stays a member, for Close to close,
// since its set has it until then.
func (g *Group) dismiss(w *Watcher, broke bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.state == inside {
		w.state = outside
		if w.listed {
			g.watching--
		}
		if w.done != nil {
			close(w.done)
		}
		if broke && !g.closed {
			g.enqueue(w, EventError)
		}
	}
	if broke {
		return
	}
	if w.listed {
		w.listed = false
		g.members.remove(w, byAll)
	}
	if w.isQueued {
		g.dequeue(w)
	}
}

func (g *Group) ended(w *Watcher) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return w.state != inside
}

func (g *Group) doneOf(w *Watcher) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.done == nil {
		if w.state != inside {
			return closing.Done
		}
		w.done = make(chan struct{})
	}
	return w.done
}

// Done returns a channel that is closed by Close.
func (g *Group) Done() <-chan struct{} {
	if g == nil || g.n == nil {
		return closing.Done
	}
	return g.n.Done()
}

// Err returns nil, and [ErrClosed] after Close. That a Watcher broke does not break
// its group: see Ready.
func (g *Group) Err() error {
	if g == nil || g.n == nil || g.n.Err() != nil {
		return ErrClosed
	}
	return nil
}

// Close closes the group and all its Watchers, as [Watcher.Close] does: once it has
// returned the library touches none of the descriptors, and Ready has nothing more.
// It may be called again, by several goroutines and while others use the group. The
// error is nil.
func (g *Group) Close() error {
	if g == nil || g.n == nil {
		return nil
	}
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	_ = g.n.Close()
	for {
		g.mu.Lock()
		w := g.members.first
		g.mu.Unlock()
		if w == nil {
			return nil
		}
		_ = w.Close()
	}
}

// String says how many Watchers the group has, and how many are known to be ready, for
// logs.
func (g *Group) String() string {
	if g == nil || g.n == nil {
		return "Group(closed)"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return "Group(closed)"
	}
	return fmt.Sprintf("Group(%d watched, %d ready)", g.watching, g.queued)
}
