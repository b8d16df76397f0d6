package chanadapter

// This file holds what happens when the oldest record of a Ring is reserved and
// not committed, because its producer is slow, stopped or dead.

import "time"

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
			r.unstall()
		case r.reserved():
			r.noteStall()
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

// noteStall starts the clock for the record at next, which is reserved. It is
// the reader's.
func (r *Ring) noteStall() {
	if r.stalling {
		return
	}
	r.stalling = true
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if r.ended.Load() {
		return
	}
	r.stall.active, r.stall.at, r.stall.since = true, r.next, time.Now()
	r.stall.pause = min(stallPoll, r.stallTime)
	r.stall.woken, r.stall.told, r.stall.waited = false, false, false
	if r.stall.timer == nil {
		r.stall.timer = time.AfterFunc(r.stall.pause, r.stallTimer)
	} else {
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
// once when the stall time is over.
func (r *Ring) stallTimer() {
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if !r.stall.active || r.stall.woken {
		return
	}
	over := time.Since(r.stall.since)
	if state, _ := r.b.header(r.stall.at); isFinal(state) {
		r.stall.woken = true
		_ = r.n.Notify() // fails only after the end
		return
	} else if over >= r.stallTime && !r.stall.told {
		r.stall.told = true
		_ = r.n.Notify()
	}
	r.stall.pause = min(2*r.stall.pause, r.stallTime)
	if left := r.stallTime - over; left > 0 {
		r.stall.pause = min(r.stall.pause, left)
	}
	r.stall.timer.Reset(r.stall.pause)
}
