package ring

// This file holds the producers' half of the ring's protocol for Go: the twin,
// step by step, of ring.h. Why the steps are as they are is said in ring.go.

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/wakechan/wakechan/internal/closing"
	"github.com/wakechan/wakechan/notifier"
)

// Handle names a ring to foreign code, which passes it to the functions of ring.h (see
// [Header]). It is a plain number of 64 bits; on 64-bit systems it fits a void *. It
// stays harmless for ever. Handle(0) names nothing.
//
// The bits are: address of the control block / 4096 (36), generation (28).
type Handle uint64

// Pointer returns the number as a void *, for an API that wants a pointer as "user
// data". It points to nothing for others than ring.h. It is nil where a number does not
// fit, that is on 32-bit systems, and for Handle(0).
func (h Handle) Pointer() unsafe.Pointer { return notifier.Handle(h).Pointer() }

// String is the number, for logs.
func (h Handle) String() string { return fmt.Sprintf("Handle(%#x)", uint64(h)) }

// Ring returns the ring that h names, for Go callers that hold only the number;
// nil if there is none any more, or never was. A nil Ring is a closed one.
func (h Handle) Ring() *Ring { return ringOf(h) }

var errNotReserved = fmt.Errorf("ring: this memory is not reserved: %w", os.ErrInvalid)

// Push appends a copy of rec. It never blocks. The error is [ErrFull] or
// [ErrTooLarge], both counted in Lost; [ErrClosed] after Finish; what Err returns after
// another end, or will when the reader has noticed that somebody wrote over the ring; or, outside of the
// testing/synctest bubble that the ring was made in, one that says so: the record is
// there, and nobody was woken for it. Any number of goroutines may push, beside
// foreign threads; one at a time, if the ring was made [WithSingleProducer].
//
// What the caller did before is visible to the goroutine that reads the record.
func (r *Ring) Push(rec []byte) error {
	h, err := r.reserve(len(rec), once)
	if err != nil {
		return err
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), len(rec)), rec)
	return r.finish(h, stateReady|uint32(len(rec)))
}

// Reserve returns n bytes of the ring to be filled in place: zero, and nobody
// else's until Commit or Discard, one of which must follow soon, since the reader
// stops there. The errors are those of Push.
func (r *Ring) Reserve(n int) ([]byte, error) { return r.reserveSlice(n, once) }

func (r *Ring) reserveSlice(n, how int) ([]byte, error) {
	h, err := r.reserve(n, how)
	if err != nil {
		return nil, err
	}
	if atomic.LoadUint32(&r.b.c.wanted)&wantedBit != 0 {
		r.watchReservations()
	}
	return unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n)[:n:n], nil
}

// Commit hands to the reader what Reserve returned: rec must be that slice, or
// begin where it does. It is invalid afterwards. The error is that of Err if r
// has ended since, one that matches [os.ErrInvalid] if rec is not reserved, or, from
// outside of the ring's bubble, Push's.
func (r *Ring) Commit(rec []byte) error { return r.finishSlice(rec, stateReady) }

// Discard gives up what Reserve returned. The errors are those of Commit.
func (r *Ring) Discard(rec []byte) error { return r.finishSlice(rec, stateDropped) }

func (r *Ring) finishSlice(rec []byte, to uint32) error {
	if r == nil || r.b == nil {
		return ErrClosed
	}
	h, now, err := r.b.reservation(uintptr(unsafe.Pointer(unsafe.SliceData(rec))))
	if err != nil {
		return err
	}
	return r.finish(h, to|now&lengthMask)
}

// How a producer asks for room.
const (
	once    = iota // a refusal loses the record
	patient        // it comes again, and leaves what is kept for the owner
	urgent         // it is the owner
	never          // it waits for its turn
)

// spanAt is how much a record of n bytes takes at position p, with the padding.
func (b *block) spanAt(p, n uintptr) uintptr {
	span := spanOf(n)
	if rest := b.size - b.offset(p); !b.mirrored && span > rest {
		return rest + span
	}
	return span
}

func (r *Ring) reserve(n, how int) (header unsafe.Pointer, err error) {
	if r == nil || r.b == nil {
		return nil, ErrClosed
	}
	b, c := r.b, r.b.c
	var p, need uintptr
	for {
		p = atomic.LoadUintptr(&c.position)
		if atomic.LoadUint32(&c.generation) != b.generation || p&positionMask != 0 {
			return nil, r.refusal() // or somebody wrote over the position
		}
		if n < 0 || uintptr(n) > b.max {
			if how == once {
				r.lost.Add(1)
			}
			return nil, ErrTooLarge
		}
		need = b.spanAt(p, uintptr(n))
		used := p - atomic.LoadUintptr(&c.consumer)
		kept := uintptr(0)
		if how == patient && used != 0 {
			kept = uintptr(atomic.LoadUint32(&c.waiting) & keptMask)
		}
		if how == never || used > b.size || need > b.size-used || kept > b.size-used-need {
			// Full, if p is still the position: otherwise the two do not belong
			// together.
			if atomic.LoadUintptr(&c.position) != p {
				continue
			}
			if how == once {
				r.lost.Add(1)
			}
			return nil, ErrFull
		}
		if atomic.CompareAndSwapUintptr(&c.position, p, p+need) {
			break
		}
	}
	if pad := need - spanOf(uintptr(n)); pad != 0 {
		_, h := b.header(p)
		atomic.StoreUint32(tagOf(h), tagAt(p))
		atomic.StoreUint32(stateOf(h), stateDropped|uint32(pad-headerSize))
		_ = r.wake(tagAt(p))
		p += pad
	}
	_, h := b.header(p)
	atomic.StoreUint32(tagOf(h), tagAt(p))
	atomic.StoreUint32(stateOf(h), stateBusy|uint32(n))
	return h, nil
}

// finish gives a reserved record its final state.
func (r *Ring) finish(h unsafe.Pointer, state uint32) error {
	tag := atomic.LoadUint32(tagOf(h))
	if atomic.LoadUint32(&r.b.c.generation) != r.b.generation {
		atomic.StoreUint32(stateOf(h), stateDropped|state&lengthMask)
		return r.refusal()
	}
	r.raceCommit()
	atomic.StoreUint32(stateOf(h), state)
	// From here on the memory is the reader's, and may be gone.
	if err := r.wake(tag); err != nil && r.Err() == nil {
		return err
	}
	return nil
}

// refusal is why nothing can be pushed.
func (r *Ring) refusal() error {
	if err := r.Err(); err != nil && err != io.EOF {
		return err
	}
	if r.b.ceased.Load() {
		return ErrClosed
	}
	return errOverwritten // and the reader has not noticed yet
}

// wake notifies a reader who sleeps and can use the record with this tag. The error
// is Notify's: r has ended, or the caller is outside of its bubble.
func (r *Ring) wake(tag uint32) error {
	c := r.b.c
	w := atomic.LoadUint32(&c.wanted)
	if w&wantedBit == 0 {
		return nil
	}
	if w&headOnlyBit != 0 && tagAt(atomic.LoadUintptr(&c.consumer)) != tag {
		return nil
	}
	if err := r.n.Notify(); err != nil {
		return closing.Renamed(err, ErrClosed) // and w may be the next ring's, whose reader nobody has woken
	}
	atomic.CompareAndSwapUint32(&c.wanted, w, w&^wantedBit)
	return nil
}
