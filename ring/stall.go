package ring

// This file holds what happens when the oldest record of a Ring is reserved and
// not committed, because its producer is slow, stopped or dead.

import (
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/internal/bubble"
)

// stallPoll is how long the reader sleeps before such a record until it looks
// again by itself; that doubles, up to the stall time.
const stallPoll = time.Millisecond

// Stalled returns how long the oldest record has been reserved without being
// committed or discarded, counted from when the reader first came to it; 0
// until that is the stall time ([WithStallTime]). The records behind it cannot be
// read: a producer is very slow, or died. When the stall time has passed C gets
// a token, once for each such record, and Wait returns. A reader that was asleep
// when the record was reserved comes to it within half the stall time.
//
// Nothing is skipped by itself, since a slow producer may still write there. If
// it is known to be dead, Close the ring and make another.
func (r *Ring) Stalled() time.Duration {
	if r == nil || r.b == nil {
		return 0
	}
	r.mu.Lock()
	if !r.iterating && !r.ended.Load() {
		// A look of its own: the reader may not have been here.
		switch {
		case r.final():
			if r.stalling {
				// The timer may have been all that would have woken the reader.
				r.unstall()
				_ = r.n.Notify()
			}
		case r.reserved():
			r.noteStall(false)
		}
	}
	r.mu.Unlock()
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if !r.stall.active {
		return 0
	}
	if d := time.Since(r.stall.since); d >= r.stallTime {
		return d
	}
	return 0
}

// noteStall starts the clock for the record at next, which is reserved, unless it
// runs. It is the reader's. One that goes to sleep there is looked after soon, also
// if the clock has run for long.
func (r *Ring) noteStall(sleeps bool) {
	if r.stalling && !sleeps {
		return
	}
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if r.ended.Load() {
		return
	}
	if !r.stalling {
		r.stalling = true
		r.stall.active, r.stall.at, r.stall.since = true, r.next, time.Now()
		r.stall.woken, r.stall.told, r.stall.waited = false, false, false
	}
	r.stall.pause = stallPoll
	r.lookLater(time.Since(r.stall.since))
}

// lookLater starts the timer, anew if it runs, when the clock stands at over. stall.mu
// is held. A bubble's timer is used once, since nobody outside may touch it, not even
// to stop it.
func (r *Ring) lookLater(over time.Duration) {
	r.stall.pause = min(r.stall.pause, r.stallTime)
	if left := r.stallTime - over; left > 0 {
		r.stall.pause = min(r.stall.pause, left)
	}
	switch {
	case bubble.In():
		r.stall.made++
		turn := r.stall.made
		r.stall.turn = turn
		time.AfterFunc(r.stall.pause, func() { r.stallTimer(turn) })
	case r.stall.timer == nil:
		r.stall.turn = 0
		r.stall.timer = time.AfterFunc(r.stall.pause, func() { r.stallTimer(0) })
	default:
		r.stall.turn = 0
		r.stall.timer.Reset(r.stall.pause)
	}
}

// watchReservations looks now and then whether something is reserved where the reader
// sleeps, without a commit: the commit would wake it, and a producer that died wakes
// nobody. For foreign producers that goes on until the end; a goroutine that reserves
// while the reader sleeps has it done once.
func (r *Ring) watchReservations() {
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	r.watchLater()
}

// watchLater starts that timer, unless it runs. stall.mu is held.
func (r *Ring) watchLater() {
	if r.stall.watched || r.ended.Load() {
		return
	}
	r.stall.watched = true
	pause := max(r.stallTime/2, stallPoll)
	if bubble.In() {
		time.AfterFunc(pause, r.lookAtSleeper)
	} else if r.stall.watch == nil {
		r.stall.watch = time.AfterFunc(pause, r.lookAtSleeper)
	} else {
		r.stall.watch.Reset(pause)
	}
}

// lookAtSleeper wakes a reader that sleeps although something is reserved: it comes to
// that record and starts the clock.
func (r *Ring) lookAtSleeper() {
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if r.ended.Load() {
		return // and the memory may be gone
	}
	r.stall.watched = false
	c := r.b.c
	// A reader that has seen the record sleeps with the other bit set.
	if atomic.LoadUint32(&c.wanted)&(wantedBit|headOnlyBit) == wantedBit {
		at := atomic.LoadUintptr(&c.consumer)
		if atomic.LoadUintptr(&c.position)&^closedBit != at {
			_ = r.n.Notify()
		}
	}
	if r.b.notifier.Load() != 0 {
		r.watchLater()
	}
}

// unstall is the reader's: the record at next is final.
func (r *Ring) unstall() {
	if r.stalling {
		r.stalling = false
		r.stall.mu.Lock()
		r.stall.active = false
		r.stall.mu.Unlock()
	}
}

// stallTimer looks at a reserved record for the reader, which sleeps. It wakes
// it when the record was committed by a producer that did not do so itself, and
// once when the stall time is over. A timer whose turn it is not was replaced.
func (r *Ring) stallTimer(turn uint64) {
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if !r.stall.active || r.stall.woken || r.stall.turn != turn {
		return
	}
	over := time.Since(r.stall.since)
	if state, _ := r.b.header(r.stall.at); isFinal(state) {
		if r.stall.woken = r.n.Notify() == nil; r.stall.woken {
			return
		}
	} else if over >= r.stallTime && !r.stall.told {
		r.stall.told = r.n.Notify() == nil
	}
	r.stall.pause *= 2
	r.lookLater(over)
}
