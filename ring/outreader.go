package ring

// This file holds the reader's half of an Out for Go: the twin, step by step, of
// notifier_out_read, _peek and _done in ring.h. It is for hosts of WASI guests
// (wasmexport), which call Go to read, and for tests. Why the steps are as they are is
// said in out.go.

import (
	"sync/atomic"
	"unsafe"

	"github.com/wakechan/wakechan/internal/hostout"
)

func init() {
	hostout.Read = func(number uint64, buf []byte) int {
		o := outOf(number)
		defer o.wake()
		return o.readInto(buf)
	}
	hostout.Try = func(number uint64, n int) ([]byte, error) { return Handle(number).Ring().reserveSlice(n, patient) }
	hostout.Peek = func(number uint64) []byte { return outOf(number).peek() }
	hostout.Done = func(number uint64) {
		defer outOf(number).wake()
		if b := outBlockOf(number); b != nil {
			b.done()
		}
	}
}

// outOf returns the Out that a number names; nil if there is none any more, or never
// was. A nil Out is a closed one.
func outOf(number uint64) *Out {
	outs.mu.Lock()
	defer outs.mu.Unlock()
	return outs.open[Handle(number)]
}

// outBlockOf returns the memory of the Out that a number names, or named and is not
// given back.
func outBlockOf(number uint64) *outBlock {
	if o := outOf(number); o != nil {
		return o.b
	}
	outs.mu.Lock()
	defer outs.mu.Unlock()
	for _, b := range outs.limbo {
		if b.handle() == Handle(number) {
			return b
		}
	}
	return nil
}

// wake has the first of those who wait for room look at once. Foreign readers do not
// do that.
func (o *Out) wake() {
	if o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.nudge()
	}
}

// lookAt returns the oldest record's header, length and position. 0: there is none,
// or somebody wrote over the memory. The caller has entered.
func (b *outBlock) lookAt() (h unsafe.Pointer, n uint32, p uintptr) {
	c := b.c
	for {
		p = atomic.LoadUintptr(&c.consumer)
		if atomic.LoadUint32(&c.generation) != b.generation || p&positionMask != 0 || atomic.LoadUintptr(&c.position) == p {
			return nil, 0, 0
		}
		h = b.at(p)
		rest := b.size - b.offset(p) - headerSize
		n = atomic.LoadUint32(stateOf(h))
		tag := atomic.LoadUint32(tagOf(h))
		switch {
		case atomic.LoadUintptr(&c.consumer) != p: // these do not belong together
		case tag != outTagAt(p):
			return nil, 0, 0
		case n&outPadding != 0:
			if uintptr(n^outPadding) != rest {
				return nil, 0, 0
			}
			atomic.CompareAndSwapUintptr(&c.consumer, p, p+headerSize+rest)
		case n == 0 || uintptr(n) > b.max || uintptr(n) > rest:
			return nil, 0, 0
		default:
			return h, n, p
		}
	}
}

// takeAt takes the record of n bytes at p, unless somebody else has.
func (b *outBlock) takeAt(p uintptr, n uint32) bool {
	return atomic.CompareAndSwapUintptr(&b.c.consumer, p, p+spanOf(uintptr(n)))
}

func recordAt(h unsafe.Pointer, n uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n)
}

// readInto is notifier_out_read.
func (o *Out) readInto(buf []byte) int {
	if o == nil {
		return 0
	}
	b, c := o.b, o.b.c
	atomic.AddUint32(&c.inside, 1)
	defer atomic.AddUint32(&c.inside, ^uint32(0))
	for {
		h, n, p := b.lookAt()
		if n == 0 || atomic.LoadUintptr(&c.held) == p|1 {
			return 0
		}
		if int(n) > len(buf) {
			return int(n)
		}
		copy(buf, recordAt(h, n))
		if b.takeAt(p, n) {
			return int(n)
		}
	}
}

// peek is notifier_out_peek.
func (o *Out) peek() []byte {
	if o == nil {
		return nil
	}
	b, c := o.b, o.b.c
	atomic.AddUint32(&c.inside, 1)
	defer atomic.AddUint32(&c.inside, ^uint32(0))
	for {
		h, n, p := b.lookAt()
		if n == 0 {
			return nil
		}
		was := atomic.LoadUintptr(&c.held)
		if !atomic.CompareAndSwapUintptr(&c.held, was, p|1) {
			continue
		}
		if atomic.LoadUintptr(&c.consumer) == p {
			return recordAt(h, n)
		}
		atomic.CompareAndSwapUintptr(&c.held, p|1, 0)
	}
}

// done is notifier_out_done.
func (b *outBlock) done() {
	c := b.c
	atomic.AddUint32(&c.inside, 1)
	defer atomic.AddUint32(&c.inside, ^uint32(0))
	held := atomic.LoadUintptr(&c.held)
	if held == 0 {
		return
	}
	if _, n, p := b.lookAt(); n != 0 && held == p|1 {
		b.takeAt(p, n)
		atomic.CompareAndSwapUintptr(&c.held, held, 0)
		return
	}
	p := atomic.LoadUintptr(&c.consumer)
	late := atomic.LoadUint32(&c.generation) - b.generation
	if p&closedBit != 0 && late <= 1 && atomic.LoadUintptr(&c.consumer) == p {
		atomic.CompareAndSwapUintptr(&c.held, held, 0)
	}
}
