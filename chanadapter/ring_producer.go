package chanadapter

// This file holds the producers' half of the ring's protocol for Go: the twin,
// step by step, of ring.h. Why the steps are as they are is said in ring.go.

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"
)

// RingHandle names a ring to foreign code, which passes it to the functions of
// ring.h (see RingHeader). It is a plain number that goes through any API's "user
// data" pointer, and stays harmless for ever. RingHandle(0) names nothing.
//
// The bits are: address of the control block / 4096 (36), generation (28).
type RingHandle uint64

// Ring returns the ring that h names, for Go callers that hold only the number;
// nil if there is none any more, or never was. A nil Ring is a closed one.
func (h RingHandle) Ring() *Ring { return ringOf(h) }

var errNotReserved = fmt.Errorf("chanadapter: this memory is not reserved: %w", os.ErrInvalid)

// Push appends a copy of rec. It never blocks. The error is ErrRingFull or
// ErrRecordTooLarge, both counted in Lost; what Err returns after the end, or will
// when the reader has noticed that somebody wrote over the ring; or, outside of the
// testing/synctest bubble that the ring was made in, one that says so: the record is
// there, and nobody was woken for it. Any number of goroutines may push, beside
// foreign threads; one at a time, if the ring was made WithSingleProducer.
//
// What the caller did before is visible to the goroutine that reads the record.
func (r *Ring) Push(rec []byte) error {
	h, err := r.reserve(len(rec))
	if err != nil {
		return err
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), len(rec)), rec)
	return r.finish(h, stateReady|uint32(len(rec)))
}

// Reserve returns n bytes of the ring to be filled in place: zero, and nobody
// else's until Commit or Discard, one of which must follow soon, since the reader
// stops there. The errors are those of Push.
func (r *Ring) Reserve(n int) ([]byte, error) {
	h, err := r.reserve(n)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n)[:n:n], nil
}

// Commit hands to the reader what Reserve returned: rec must be that slice, or
// begin where it does. It is invalid afterwards. The error is that of Err if r
// has ended since, one that matches os.ErrInvalid if rec is not reserved, or, from
// outside of the ring's bubble, Push's.
func (r *Ring) Commit(rec []byte) error { return r.finishSlice(rec, stateReady) }

// Discard gives up what Reserve returned. The errors are those of Commit.
func (r *Ring) Discard(rec []byte) error { return r.finishSlice(rec, stateDropped) }

func (r *Ring) finishSlice(rec []byte, to uint32) error {
	if r == nil || r.b == nil {
		return ErrClosed
	}
	h := unsafe.Add(unsafe.Pointer(unsafe.SliceData(rec)), -headerSize)
	if r.b.gone() {
		return ErrClosed // then nothing was reserved
	}
	if at := uintptr(h) - uintptr(r.b.data); at >= r.b.size || at&7 != 0 {
		return errNotReserved
	}
	now := atomic.LoadUint32(stateOf(h))
	if now&stateMask != stateBusy {
		return errNotReserved
	}
	return r.finish(h, to|now&lengthMask)
}

func (r *Ring) reserve(n int) (header unsafe.Pointer, err error) {
	if r == nil || r.b == nil {
		return nil, ErrClosed
	}
	b, c := r.b, r.b.c
	var p, pad, span uintptr
	for {
		p = atomic.LoadUintptr(&c.position)
		if atomic.LoadUint32(&c.generation) != b.generation || p&positionMask != 0 {
			return nil, r.refusal() // or somebody wrote over the position
		}
		if n < 0 || uintptr(n) > b.max {
			r.lost.Add(1)
			return nil, ErrRecordTooLarge
		}
		span, pad = spanOf(uintptr(n)), 0
		if rest := b.size - b.offset(p); !b.mirrored && span > rest {
			pad = rest
		}
		used := p - atomic.LoadUintptr(&c.consumer)
		if used > b.size || pad+span > b.size-used {
			// Full, if p is still the position: otherwise the two do not belong
			// together.
			if atomic.LoadUintptr(&c.position) != p {
				continue
			}
			r.lost.Add(1)
			return nil, ErrRingFull
		}
		if atomic.CompareAndSwapUintptr(&c.position, p, p+pad+span) {
			break
		}
	}
	if pad != 0 {
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
	r.race.release()
	atomic.StoreUint32(stateOf(h), state)
	// From here on the memory is the reader's, and may be gone.
	if err := r.wake(tag); err != nil && r.Err() == nil {
		return err
	}
	return nil
}

// refusal is why nothing can be pushed.
func (r *Ring) refusal() error {
	if err := r.Err(); err != nil {
		return err
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
		return err // and w may be the next ring's, whose reader nobody has woken
	}
	atomic.CompareAndSwapUint32(&c.wanted, w, w&^wantedBit)
	return nil
}
