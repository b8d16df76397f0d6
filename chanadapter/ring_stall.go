package chanadapter

// This file holds what happens when the oldest record of a Ring is reserved and
// not committed, because its producer is slow, stopped or dead.

import (
	"time"

	"github.com/wakechan/wakechan/internal/bubble"
)

// stallPoll is how long the reader sleeps before such a record until it looks
// again by itself; that doubles, up to the stall time.
const stallPoll = time.Millisecond

// Stalled returns how long the oldest record has been reserved without being
// committed or discarded, counted from when the reader first came to it; 0
// until that is the stall time (WithStallTime). The records behind it cannot be
// read: a producer is very slow, or died. When the stall time has passed C gets
// a token, once for each such record, and Wait returns.
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
