package ring

// This file holds producers that wait for room: goroutines in PushWait, and what the
// reader does for them and for the foreign ones in notifier_ring_wait of ring.h.
//
// # The protocol
//
// waiting: bit 0 says that somebody waits, or is about to; the rest is how many bytes
// are kept for the owner.
//
//	even -> odd   a producer that found no room. It looks once more after that.
//	odd -> even   the reader, having given memory back; it wakes all of them
//	rest          grows by the owner; becomes 0 by who ends its ownership
//
// The producer writes waiting and then reads consumer; the reader writes consumer and
// then reads waiting. All four are sequentially consistent, so one of them sees the
// other.
//
// given: a number that the foreign ones sleep on (futex(2), WaitOnAddress). It changes
// after bit 0 of waiting was cleared and before they are woken. A producer reads it
// before it looks for room: if memory was given back after that look, the number is
// another, and it does not sleep. It is odd, so that it is not what a retired control
// block shows.
//
// # Whose turn it is
//
// All are woken, each time. Without an order those who are quick would fill the ring
// again and again, and a slow one, or one with a long record, would wait for ever.
//
// queue: the next ticket. Each producer that has to wait takes one, by adding 1.
//
// turn: who has this ticket or an older one may become the owner. Who leaves the queue
// for whatever reason adds 1, but never past queue. So there is one who may, and one
// more for each that left before its turn.
//
// owner: 0 -> a producer whose turn it is; it keeps the bytes that it needs. -> 0 when it
// has them or gives up. Who is not the owner leaves free what is kept, in an empty
// ring nothing; who has a ticket goes only as the owner. So when the reader has given
// memory back one of those who wait gets on, as soon as it runs. The rest is for those who
// found room at once, and so is all of it until then. A foreign thread becomes the owner in notifier_ring_wait and has its
// record by the notifier_ring_try that follows: owner has a name of the thread.
//
// Who leaves stores turn and owner before the reader has its record, and so before the
// reader wakes those who looked too early. That may be long after, so a goroutine wakes
// the next one, if it leaves room. A thread does not: those in the queue that see room look
// again after turnTime.
//
// The dead do not leave. Those behind them sleep for deathTime at most; who then sees
// that there has been room for that long, and that neither turn nor owner changed, ends the
// ownership and adds the 1. The reader also ends the ownership, since there may be only
// producers that never wait. In a ring that foreign code never knew nobody dies, and
// nobody looks; but a thread that was stopped for long may take a ticket of the next ring
// that has the control block.

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/internal/clock"
)

// deathTime is how long an owner may leave the room unused that it waited for.
// NOTIFIER_RING_PATIENCE_ in ring.h.
const deathTime = 100 * time.Millisecond

// turnTime is how long a producer in the queue sleeps if there is room: it is a matter of
// moments until it has its turn.
const turnTime = time.Millisecond

// sleepers are goroutines that wait for room.
type sleepers struct {
	mu    sync.Mutex
	queue list.List // of *sleeper, in the order of their tickets

	names atomic.Uint32 // of goroutines, so far

	// The reader's:
	owner uint32        // for whom something was kept, and
	turn  uint32        // what that was
	since time.Duration // when that began
}

// sleeper is one of them.
type sleeper struct {
	who, ticket uint32
	span        uintptr       // what its record takes at least
	woken       chan struct{} // for one token: there may be room
	bubble      bool          // the channel is of one
}

func (s *sleeper) wake() {
	if s.bubble && !bubble.In() {
		return // from outside of their bubble that would end the process
	}
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// wake wakes all, the oldest first: who comes before its turn goes to sleep again.
func (w *sleepers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := w.queue.Front(); e != nil; e = e.Next() {
		e.Value.(*sleeper).wake()
	}
}

// wakeFirst wakes the oldest, if that is enough room for it.
func (w *sleepers) wakeFirst(room uintptr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e := w.queue.Front(); e != nil && e.Value.(*sleeper).span <= room {
		e.Value.(*sleeper).wake()
	}
}

// remove takes one out.
func (w *sleepers) remove(e *list.Element) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue.Remove(e)
}

// free returns how much room there is.
func (b *block) free() uintptr { return b.size - (b.position() - atomic.LoadUintptr(&b.c.consumer)) }

// kept returns how much is kept for the owner. More than the ring has is what somebody wrote
// over it, and is taken for little, so that the owner is given up.
func (b *block) kept(waiting uint32) uintptr {
	if kept := uintptr(waiting & keptMask); kept <= b.size {
		return kept
	}
	return headerSize
}

// give is called by the reader when it has given span bytes back, and waiting is not 0.
func (b *block) give(waiting uint32, span uintptr) {
	if kept, free := b.kept(waiting), b.free(); kept != 0 && kept <= free {
		now, owner, turn := clock.Now(), atomic.LoadUint32(&b.c.owner), atomic.LoadUint32(&b.c.turn)
		// The same one again has left in between, if turn is another and there was no
		// room until just now.
		again := turn != b.room.turn && kept+span > free
		if owner != b.room.owner || again || b.room.since == 0 {
			b.room.owner, b.room.turn, b.room.since = owner, turn, now
		} else if now-b.room.since >= deathTime {
			b.disown(owner)
		}
	} else {
		b.room.since = 0
	}
	if waiting&askedBit != 0 {
		b.wakeWaiting()
	}
}

// wakeWaiting wakes the producers that wait, if there are any.
func (b *block) wakeWaiting() {
	if atomic.LoadUint32(&b.c.waiting)&askedBit == 0 {
		return
	}
	atomic.AndUint32(&b.c.waiting, ^askedBit)
	b.wakeThreads()
	b.room.wake()
}

func (b *block) wakeThreads() {
	atomic.AddUint32(&b.c.given, 2)
	if b.notifier.Load() != 0 { // else no foreign code knows the ring
		wakeAll(&b.c.given)
	}
}

// ask says that somebody waits.
func (b *block) ask() { atomic.OrUint32(&b.c.waiting, askedBit) }

// own makes who the owner, if it has its turn and nobody else is, and keeps need bytes
// for it. The result tells whether it is.
func (b *block) own(who, ticket uint32, need uintptr) bool {
	c := b.c
	if int32(atomic.LoadUint32(&c.turn)-ticket) >= 0 {
		atomic.CompareAndSwapUint32(&c.owner, 0, who)
	}
	if atomic.LoadUint32(&c.owner) != who {
		return false
	}
	for {
		w := atomic.LoadUint32(&c.waiting)
		if w&keptMask >= uint32(need) || atomic.CompareAndSwapUint32(&c.waiting, w, uint32(need)|w&askedBit) {
			return true
		}
	}
}

// disown says that nothing is kept for who any more, if something was.
func (b *block) disown(who uint32) {
	if atomic.LoadUint32(&b.c.owner) == who {
		atomic.AndUint32(&b.c.waiting, ^keptMask)
		atomic.CompareAndSwapUint32(&b.c.owner, who, 0) // last: the next owner keeps its own
	}
}

// leave says that who left the queue.
func (b *block) leave(who uint32) {
	b.disown(who)
	for c := b.c; ; {
		turn := atomic.LoadUint32(&c.turn)
		if turn == atomic.LoadUint32(&c.queue) || atomic.CompareAndSwapUint32(&c.turn, turn, turn+1) {
			return
		}
	}
}

// join takes a ticket for a goroutine, unless the control block may be another ring's by
// now: then e is nil.
func (b *block) join(n int) (s *sleeper, e *list.Element) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life == blockGone {
		return nil, nil
	}
	s = &sleeper{
		who:  (b.room.names.Add(1)%(1<<30) + 1) << 1,
		span: spanOf(uintptr(n)), woken: make(chan struct{}, 1), bubble: bubble.In(),
	}
	b.room.mu.Lock()
	defer b.room.mu.Unlock()
	s.ticket = atomic.AddUint32(&b.c.queue, 1) - 1
	return s, b.room.queue.PushBack(s)
}

// pass has s leave the queue and wakes the next, if there is room: the reader, which woke
// all, may not come back for long.
func (b *block) pass(s *sleeper, e *list.Element) {
	b.room.remove(e)
	b.leave(s.who)
	b.room.wakeFirst(b.free())
}

var errOtherBubble = errors.New("ring: PushWait from outside of the testing/synctest bubble that the ring was made in, or from inside of one that it was not made in: the reader could not wake it")

// PushWait is Push for a producer that may wait: while there is no room it blocks,
// until the reader has given memory back. A refusal is not counted in Lost.
//
// It returns nil if the record is in the ring; [ErrTooLarge]; the cause of ctx's end
// ([context.Cause]), but not if there is room at once; [ErrClosed] after Finish, or when
// the ring or its poller was closed, also in the middle of the wait; what Err returns
// after another end. No producer that waits is kept out for ever by others that wait,
// here or with notifier_ring_try and notifier_ring_wait of ring.h.
//
// Any number of goroutines may wait; one at a time, if the ring was made
// [WithSingleProducer]. The reader's goroutine must not: nobody would make room.
func (r *Ring) PushWait(ctx context.Context, rec []byte) error {
	h, err := r.reserve(len(rec), patient)
	if err == ErrFull {
		h, err = r.reserveLater(ctx, len(rec))
	}
	if err != nil {
		return err
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), len(rec)), rec)
	return r.finish(h, stateReady|uint32(len(rec)))
}

// reserveLater reserves n bytes when it is the caller's turn and there is room.
func (r *Ring) reserveLater(ctx context.Context, n int) (header unsafe.Pointer, err error) {
	if bubble.In() != r.bubble {
		return nil, errOtherBubble
	}
	if ctx == nil { // else it would panic in the queue
		panic("ring: PushWait with a nil Context")
	}
	b := r.b
	s, e := b.join(n)
	if e == nil {
		return nil, r.refusal()
	}
	var dead death
	defer dead.forget()
	for {
		b.ask()
		how := never
		if b.own(s.who, s.ticket, b.spanAt(b.position(), uintptr(n))) {
			how = urgent
		}
		if header, err = r.reserve(n, how); err != ErrFull {
			if header != nil {
				b.pass(s, e)
			} else {
				b.room.remove(e)
				b.disown(s.who) // turn may be the next ring's
			}
			return header, err
		}
		if dead.found(b, n) {
			continue
		}
		select {
		case <-s.woken:
		case <-dead.after():
		case <-ctx.Done():
			b.pass(s, e)
			b.wakeThreads() // there may be room for one of them, which was kept
			return nil, context.Cause(ctx)
		}
	}
}

// death finds out that those whose turn it is do not come. Only foreign threads die.
type death struct {
	foreign     bool
	since       time.Duration // there has been room, and these were what they are; or 0
	turn, owner uint32
	timer       *time.Timer
}

// found looks, and lets the next have its turn if it is so.
func (d *death) found(b *block, n int) bool {
	c := b.c
	if d.foreign = b.strangers || b.notifier.Load() != 0; !d.foreign {
		return false
	}
	now, turn, owner, p := clock.Now(), atomic.LoadUint32(&c.turn), atomic.LoadUint32(&c.owner), b.position()
	need := max(b.spanAt(p, uintptr(n)), b.kept(atomic.LoadUint32(&c.waiting)))
	switch used := p - atomic.LoadUintptr(&c.consumer); {
	case used > b.size || need > b.size-used:
		d.since = 0
		return false
	case d.since == 0 || turn != d.turn || owner != d.owner:
		d.since, d.turn, d.owner = now, turn, owner
		return false
	case now-d.since < deathTime:
		return false
	}
	b.disown(owner)
	next := atomic.LoadUint32(&c.queue)
	if behind := next - turn; behind != 0 && behind < mostWaiting {
		next = turn + 1
	}
	atomic.CompareAndSwapUint32(&c.turn, turn, next)
	d.since = 0
	return true
}

// mostWaiting is how far turn can be behind queue, unless somebody wrote over them.
const mostWaiting = 1 << 16

func (d *death) after() <-chan time.Time {
	if !d.foreign {
		return nil
	}
	until := deathTime
	if d.since != 0 {
		until = turnTime
	}
	if d.timer == nil {
		d.timer = time.NewTimer(until)
	} else {
		d.timer.Reset(until)
	}
	return d.timer.C
}

func (d *death) forget() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
