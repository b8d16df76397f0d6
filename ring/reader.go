package ring

// This file holds the reader of a Ring: how records are found, handed out and
// given back, and how it goes to sleep. Why that is right is said in ring.go; a
// record that does not get committed is stall.go's business.

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/internal/clock"
)

const secondReader = "ring: a Ring has one reader: Wait, Records, ReadInto, Values, Batches and Chan must not be used while a loop over records runs"

// lock takes the reader's side for a short step.
func (r *Ring) lock() {
	r.mu.Lock()
	if r.iterating {
		r.mu.Unlock()
		panic(secondReader)
	}
}

// Wait blocks until there is a record to read. It returns nil when there is, or once
// when a producer has stalled (see Stalled); the cause of ctx's end; and what Err
// returns after r has ended.
//
// If ctx is done it still returns nil for the records that are there when Wait first
// finds it done, so that a loop reads them; not for what comes after them, so that
// it ends under a busy producer.
func (r *Ring) Wait(ctx context.Context) error {
	if r == nil || r.b == nil {
		return ErrClosed
	}
	for {
		done := ctx.Err() != nil
		r.lock()
		if r.ended.Load() {
			defer r.mu.Unlock()
			return r.endErr()
		}
		r.adapt()
		found, err := r.look()
		mine := r.mayRead(found, done)
		r.mu.Unlock()
		if err != nil {
			r.end(err)
			return r.Err()
		}
		switch {
		case mine:
			return nil
		case found:
			return context.Cause(ctx)
		case r.newStall():
			return nil
		}
		if err := r.n.Wait(ctx); err != nil {
			if end := r.Err(); end != nil && ctx.Err() == nil {
				return end
			}
			return err
		}
	}
}

// mayRead reports whether Wait may return for the record at next, if one was found: it
// was there when the context was first found done, if it is.
func (r *Ring) mayRead(found, done bool) bool {
	if !found || !done {
		r.lastCall = false
		return found
	}
	if !r.lastCall {
		r.lastCall, r.until = true, r.position()
	}
	r.lastCall = int(r.until-r.next) > 0
	return r.lastCall
}

// newStall reports whether Wait should return for a stall.
func (r *Ring) newStall() bool {
	r.stall.mu.Lock()
	defer r.stall.mu.Unlock()
	if !r.stall.active || !r.stall.told || r.stall.waited {
		return false
	}
	r.stall.waited = true
	return true
}

// look reports whether there is a record at next; if not, the reader is asleep.
func (r *Ring) look() (found bool, err error) {
	for {
		if _, found, err = r.take(); found || err != nil {
			return found, err
		}
		if again, err := r.settle(); !again || err != nil {
			return false, err
		}
	}
}

// Records returns the records that are there, oldest first, and some of those that
// come meanwhile. It ends when there are no more, at a record that is not committed
// yet, or when r ends; and, so that a loop around it sees its context, when what was
// there at the start has been read and Cap or 1 MiB of records, whichever is less.
// A record is the ring's own memory, not a copy: it is valid until the next step of
// the loop, 8-byte aligned, and must not be written to.
//
// What is still there after the loop, or after a break, stays in the ring, and a
// token comes for it.
func (r *Ring) Records() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { r.records(yield) }
}

// records is apart from Records so that it is compiled once, with all that it
// calls inlined, and not copied into each caller.
func (r *Ring) records(yield func([]byte) bool) {
	if !r.enter() {
		return
	}
	b := r.b
	data, mask, longest, reach := b.data, b.size-1, b.max, b.reach
	next := r.next
	limit, small := next, 0
	end := next     // of this loop, once it is known
	var out uintptr // span of the record that is with the caller
	defer func() { r.leave(out) }()
	for !r.ended.Load() {
		if int(limit-next) <= 0 {
			if small != 0 && int(end-next) <= 0 && r.reserved() {
				r.more()
				return
			}
			if limit = r.refill(small); limit == next {
				return
			}
			if small == 0 {
				end = next + max(limit-next, min(b.size, loopBytes))
			} else if int(limit-end) > 0 && int(end-next) > 0 {
				limit = end
			}
			if small++; limit-next >= min(lingerBatch, b.step) {
				small = 1
			}
		}
		// The short way: a committed record like any other. take is the long
		// one, and looks again at whatever is wrong here.
		h := unsafe.Add(data, next&mask)
		state := atomic.LoadUint32(stateOf(h))
		n := uintptr(state & lengthMask)
		span := spanOf(n)
		if state&stateMask != stateReady || n > longest || next&mask+span > reach ||
			atomic.LoadUint32(tagOf(h)) != tagAt(next) || r.stalling {
			found, err := r.look()
			if err != nil {
				r.end(err)
			}
			if !found {
				return
			}
			next = r.next
			continue
		}
		r.raceRead(next)
		out = span
		if !yield(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n)) {
			return
		}
		next += span
		r.next = next
		out = 0
		if next-r.published >= b.step {
			if err := r.publish(); err != nil {
				r.end(err)
				return
			}
		}
	}
}

// batches is records for who takes many at a time: read is called with how far the
// records go from r.next, is done with what it read, and returns false to end the loop.
func (r *Ring) batches(read func(limit uintptr) bool) {
	if !r.enter() {
		return
	}
	defer r.leave(0)
	end, small := r.next, 0
	for !r.ended.Load() {
		before := r.next
		if small != 0 && int(end-before) <= 0 && r.reserved() {
			r.more()
			return
		}
		limit := r.refill(small)
		if limit == before {
			return
		}
		if small == 0 {
			end = limit + min(r.b.size, loopBytes)
		}
		if small++; limit-before >= min(lingerBatch, r.b.step) {
			small = 1
		}
		if !read(limit) {
			if !r.ended.Load() {
				r.more()
			}
			return
		}
		if r.next == limit {
			continue
		}
		// It came to one that is not committed.
		if found, err := r.look(); err != nil {
			r.end(err)
		} else if !found {
			return
		}
	}
}

// loopBytes is how much a Records loop reads, if there was not more at its start. A new
// loop costs as much as a few records.
const loopBytes = 1 << 20

// more leaves the reader awake if there is more to read, with a token, or has it sleep.
func (r *Ring) more() {
	found, err := r.look()
	if err != nil {
		r.end(err)
	} else if found {
		_ = r.n.Notify() // fails only after the end, or outside of the ring's bubble, where no reader is
	}
}

// refill returns how far the records go by now: next, if there are none and the
// reader is asleep. small tells how many batches in a row this loop had with little
// in each; 0, if it had none yet. A reader that follows a producer at its heels takes each cache line from it while it
// writes there, which costs both of them more than all else: so when there is
// little it lets some more come, if it lingers at all, or if that goes on.
func (r *Ring) refill(small int) (limit uintptr) {
	err := r.publish()
	if err == nil {
		switch there := r.seen - r.next; {
		case there >= min(lingerBatch, r.b.step):
			return r.seen
		case there == 0, small > 0 && r.window != 0:
			r.linger()
		case small >= atItsHeels && r.ceiling != 0 && !cannotLinger():
			r.spin.Breathe(pause(clock.Now() + lingerPace))
		default:
			return r.seen
		}
		if limit = r.position(); limit != r.next {
			return limit
		}
		var found bool
		if found, err = r.settle(); found {
			return r.position()
		}
	}
	if err != nil {
		r.end(err)
	}
	return r.next
}

// enter begins a Records loop.
func (r *Ring) enter() bool {
	if r == nil || r.b == nil {
		return false
	}
	r.lock()
	defer r.mu.Unlock()
	if r.ended.Load() {
		return false
	}
	r.iterating = true
	r.adapt()
	return true
}

// leave ends a Records loop, in whatever way it was left; out is the span of a
// record that it was left with.
func (r *Ring) leave(out uintptr) {
	if out != 0 && !r.ended.Load() {
		if err := r.drop(out); err != nil {
			r.end(err)
		} else {
			r.more()
		}
	} else if out != 0 {
		r.next += out // it was read: not lost by the end
	}
	r.mu.Lock()
	r.iterating = false
	ended, scribbled := r.ended.Load(), r.scribbled()
	r.mu.Unlock()
	if ended {
		r.b.abandon(r.next, scribbled)
	}
}

// ReadInto copies the next record to buf and returns its length. It does not
// block. The errors are [ErrEmpty]: read on after the next token or Wait;
// [io.ErrShortBuffer]: buf is too small, the record stays, and the number is its
// length; and what Err returns after the end.
func (r *Ring) ReadInto(buf []byte) (int, error) {
	if r == nil || r.b == nil {
		return 0, ErrClosed
	}
	r.lock()
	n, err, fault := r.readInto(buf)
	r.mu.Unlock()
	if fault != nil {
		r.end(fault)
		return 0, r.Err()
	}
	return n, err
}

func (r *Ring) readInto(buf []byte) (n int, err, fault error) {
	if r.ended.Load() {
		return 0, r.endErr(), nil
	}
	for {
		rec, found, fault := r.take()
		switch {
		case fault != nil:
			return 0, nil, fault
		case found && len(rec) > len(buf):
			return len(rec), io.ErrShortBuffer, nil
		case found:
			n := copy(buf, rec)
			return n, nil, r.drop(spanOf(uintptr(n)))
		}
		if again, fault := r.settle(); !again || fault != nil {
			return 0, ErrEmpty, fault
		}
	}
}

// take looks at the record at next, passing over dropped ones. It is the
// reader's, like all that follows.
func (r *Ring) take() (rec []byte, found bool, fault error) {
	b := r.b
	for {
		state, h := b.header(r.next)
		if !isFinal(state) {
			return nil, false, nil
		}
		r.raceRead(r.next)
		if r.stalling {
			r.unstall()
		}
		n := uintptr(state & lengthMask)
		span := spanOf(n)
		if tag := atomic.LoadUint32(tagOf(h)); tag != tagAt(r.next) {
			return nil, false, fmt.Errorf("ring: foreign code wrote over a ring: a record's tag is %#x instead of %#x", tag, tagAt(r.next))
		}
		if state&stateMask == stateReady {
			if n > b.max || b.offset(r.next)+span > b.reach {
				return nil, false, fmt.Errorf("ring: foreign code wrote over a ring: a record has %d bytes", n)
			}
			return unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n), true, nil
		}
		// Discarded, or padding, which ends with the memory.
		if span > b.size || b.offset(r.next)+span > b.reach {
			return nil, false, fmt.Errorf("ring: foreign code wrote over a ring: a dropped record has %d bytes", n)
		}
		if err := r.drop(span); err != nil {
			return nil, false, err
		}
	}
}

// drop is done with the record at next, and gives memory back now and then.
func (r *Ring) drop(span uintptr) error {
	r.next += span
	if r.next-r.published >= r.b.step {
		return r.publish()
	}
	return nil
}

// publish zeroes and gives back what the reader is done with, having looked
// whether the memory that everyone writes to can still be what the protocol made
// it. That is done for many records at once: the producers all read consumer, so
// each store costs each of them a cache miss.
func (r *Ring) publish() error {
	c := r.b.c
	if !r.b.intact() {
		return errOverwritten
	}
	if at := atomic.LoadUintptr(&c.consumer); at != r.published {
		return fmt.Errorf("ring: foreign code wrote over a ring: consumer is %#x instead of %#x", at, r.published)
	}
	at := atomic.LoadUintptr(&c.position) &^ closedBit
	if at-r.next > r.b.size || at&positionMask != 0 {
		return fmt.Errorf("ring: foreign code wrote over a ring: position is %#x with the reader at %#x", at, r.next)
	}
	r.seen = at
	if span := r.next - r.published; span != 0 {
		_, h := r.b.header(r.published)
		first := min(span, r.b.reach-r.b.offset(r.published))
		clear(unsafe.Slice((*byte)(h), first))
		clear(unsafe.Slice((*byte)(r.b.data), span-first)) // not mirrored: it goes on at the beginning
		r.published = r.next
		// An exchange for the reason that settle has one: waiting is looked at after it.
		atomic.SwapUintptr(&c.consumer, r.published)
		if w := atomic.LoadUint32(&c.waiting); w != 0 {
			r.b.give(w, span)
		}
	}
	return nil
}

// headLooks is how often the reader looks at a reserved record before it goes to
// sleep: a commit is a matter of nanoseconds, as a rule.
const headLooks = 100

// settle is called when there is nothing to read at next. It gives everything
// back, says that the reader sleeps, and looks once more: true means that there
// is something after all.
func (r *Ring) settle() (again bool, fault error) {
	if err := r.publish(); err != nil {
		return false, err
	}
	c := r.b.c
	for {
		reserved, mode := r.reserved(), wantedBit
		if reserved {
			for range headLooks {
				if r.final() {
					return true, nil
				}
			}
			mode |= headOnlyBit
		}
		r.b.epoch += headOnlyBit << 1
		// An exchange, since in race builds a store of memory outside of the Go heap
		// is no more than a release, which the look at position may overtake.
		atomic.SwapUint32(&c.wanted, r.b.epoch|mode)
		if r.b.local() {
			if err := membarrier(); err != nil {
				return false, fmt.Errorf("ring: a single producer's ring can go on no longer: %w", err)
			}
		}
		switch {
		case reserved && !r.final():
			r.noteStall(true)
			r.asleep = clock.Now()
			return false, nil
		case reserved:
			atomic.StoreUint32(&c.wanted, r.b.epoch) // nobody need notify
			return true, nil
		case !r.reserved():
			if r.finished.Load() && atomic.LoadUintptr(&c.position) == r.next|closedBit {
				return false, io.EOF
			}
			r.asleep = clock.Now()
			return false, nil
		}
	}
}

// position returns where the next record will be reserved.
func (r *Ring) position() uintptr { return r.b.position() }

// reserved reports whether there is anything at next, or will be.
func (r *Ring) reserved() bool { return r.position() != r.next }

// final reports whether the record at next is.
func (r *Ring) final() bool {
	state, _ := r.b.header(r.next)
	return isFinal(state)
}

// The reader lingers before it goes to sleep, as a poller does (WithLinger), and
// for the same reason; in steps of lingerPace, so that records gather.
const (
	lingerPace  = 5 * time.Microsecond
	lingerBatch = 8192 // bytes that are worth reading without a pause
	atItsHeels  = 4    // after so many batches in a row with less there is one at any rate
)

// oneThread: there lingering keeps the producers from running.
const oneThread = runtime.GOARCH == "wasm"

// linger lets records come, for the time of the window at most.
func (r *Ring) linger() {
	if r.window == 0 || cannotLinger() {
		return
	}
	start := clock.Now()
	if !r.spin.Start(start) {
		r.window = 0
		return
	}
	for look := start + lingerPace; ; look += lingerPace {
		t := pause(look)
		goOn := r.spin.Look(t)
		if r.reserved() {
			r.penalty = 0
			return
		}
		if !goOn {
			r.window = 0
			return
		}
		if t-start >= r.window || r.ended.Load() {
			break
		}
		r.spin.Yield(t)
	}
	// In vain: the producer pauses, or it waits for this very processor. Each time
	// it takes more sleeps until lingering is tried again.
	r.penalty = min(2*r.penalty+1, 63)
	r.skip, r.window = r.penalty, 0
}

// cannotLinger also holds in a bubble, whose clock stands still.
func cannotLinger() bool { return oneThread || bubble.In() }

// pause returns the time, as soon as it is end.
func pause(end time.Duration) (now time.Duration) {
	for now = clock.Now(); now < end; now = clock.Now() {
	}
	return now
}

// adapt sets the window after a sleep.
func (r *Ring) adapt() {
	if r.asleep == 0 || !r.reserved() {
		return
	}
	slept := clock.Now() - r.asleep
	r.asleep = 0
	switch {
	case slept >= r.ceiling:
		r.window = 0
	case r.skip > 0:
		r.skip--
	default:
		r.window = r.ceiling
	}
}
