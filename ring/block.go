package ring

// This file holds the memory of a ring: its layout, and how it comes, ends and
// comes again. Where the system gets it from is ring_memory_*.go's business.
//
// A ring has a control block and data. Foreign code may hold the ring's number
// for ever, so a control block is never unmapped; closed ones wait for the next
// ring, with another generation. Data is used only by those who have reserved
// some of it, and each record says whether it is still reserved: so when nothing
// is, after the ring was shut, the data is unmapped, and a closed ring costs a
// page at most. A producer in the middle of its copy keeps it mapped. One that
// died there keeps it for ever: nobody can tell it from a slow one.

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/internal/address"
)

// The layout is the ABI: ring.h repeats it, and a test compares the two.
const (
	abiNumber = 1          // NOTIFIER_RING_ABI
	magic     = 0x676e6972 // NOTIFIER_RING_MAGIC, "ring"

	baseShift      = 12
	generationBits = 28
	generationMask = 1<<generationBits - 1
	generationStep = 2 // even in a ring's number, odd in a notifier's handle: bit 0 tells them apart

	flagMirrored = 1
	flagSingle   = 2

	closedBit    uintptr = 1
	positionMask uintptr = 7

	wantedBit   uint32 = 1
	headOnlyBit uint32 = 2

	askedBit uint32 = 1
	keptMask uint32 = 0xfffffff8

	headerSize = 8

	stateBusy    uint32 = 0x40000000
	stateReady   uint32 = 0x80000000
	stateDropped uint32 = 0xc0000000
	stateMask    uint32 = 0xc0000000
	lengthMask   uint32 = 0x3fffffff

	minSize = 64
)

const (
	nativeSize = unsafe.Sizeof(uintptr(0))
	nativePad  = 8 - nativeSize // a native word has 8 bytes to itself
)

// control is the control block. Words of 32 bits and of a pointer's size only,
// so that all of them are lock-free on every system.
type control struct {
	// These change only while the position is closed, but for the notifier.
	magic        uint32
	abi          uint32 // 0 in a forked child that sees zeros
	generation   uint32
	flags        uint32
	size         uint32
	max          uint32
	notifierLow  uint32
	notifierHigh uint32
	data         uintptr
	_            [nativePad]byte
	pid          uint32 // the process that may push, where a forked child has a copy; 0: it sees zeros
	_            [128 - 44]byte

	// The words of the protocol: see ring.go.
	position uintptr
	_        [nativePad]byte
	entered  uint32 // the single producer writes both
	_        [128 - 12]byte
	consumer uintptr // with wanted on a line: the reader writes both, producers read both
	_        [nativePad]byte
	wanted   uint32
	waiting  uint32 // see room.go
	given    uint32
	queue    uint32
	turn     uint32
	owner    uint32
	_        [128 - 32]byte
	lost     uintptr
	_        [128 - nativeSize]byte
}

const controlSize = unsafe.Sizeof(control{})

// backing is the contract that every system's memory meets.
type backing interface {
	// control returns a zeroed control block at a multiple of 4096, which is never
	// given back, and what its pid is to be: 0 if a forked child sees zeros there,
	// this process's if it has a copy.
	control() (c *control, pid uint32, err error)

	// data returns size bytes of zeroed memory, present, at a multiple of 8;
	// mirrored means that the same memory follows once more behind it. A forked
	// child does not share it. size is a multiple of the page size.
	data(size uintptr) (p unsafe.Pointer, mirrored bool, err error)

	// free gives back what data returned.
	free(p unsafe.Pointer, size uintptr, mirrored bool)
}

// isFinal reports whether state is stateReady or stateDropped.
func isFinal(state uint32) bool { return state >= stateReady }

// spanOf is how much a record of n bytes takes.
func spanOf(n uintptr) uintptr { return headerSize + (n+7)&^7 }

func tagAt(position uintptr) uint32 { return uint32(position) ^ magic }

func stateOf(header unsafe.Pointer) *uint32 { return (*uint32)(header) }
func tagOf(header unsafe.Pointer) *uint32   { return (*uint32)(unsafe.Add(header, 4)) }

// block is the memory of one ring in its time. What can be read without a
// lock never changes.
type block struct {
	c          *control
	memory     backing
	data       unsafe.Pointer
	size       uintptr
	max        uintptr
	reach      uintptr // how far a record may go from data: size, or twice that
	step       uintptr // how much the reader gives back at once
	mirrored   bool
	single     bool // one producer, which takes no locked instruction
	generation uint32
	pid        uint32  // what the control block has
	start      uintptr // first position
	strangers  bool    // foreign code knows an earlier ring of this control block

	epoch    uint32        // the number last stored in wanted; the reader's
	notifier atomic.Uint64 // what announce stored
	ceased   atomic.Bool   // cease has begun
	room     sleepers      // goroutines

	mu       sync.Mutex
	life     uint32
	lostBase uintptr // c.lost, as far as it is in lost
	lost     uint64  // what was left in the ring, and what producers counted
	counted  bool    // for good: the control block is another's, or retired
	quiet    bool    // single: the producer was seen outside of reserve
	unsure   bool    // single: whether it is cannot be known
	end      uintptr // the position when it was shut
	from     uintptr // where the reader stopped
	shutAt   time.Time
	walked   uintptr   // how far reap has come
	unread   []stretch // of that: what begins with a record without a header
	pending  []uintptr // of that: records that are reserved
	scanned  bool      // behind each record without a header, after scanTime
	limbo    int       // where it is in pool.limbo
}

// life of a block:
//
//	blockOpen -> blockShut    shut: the position has its closed bit
//	blockShut -> blockLimbo   abandon: the reader is out
//	blockLimbo -> blockGone   reap: nothing is reserved any more; the data is
//	                          unmapped, the control block waits for its next
//	blockLimbo -> blockStuck  somebody scribbled on it. It stays as it is for
//	                          ever.
const (
	blockOpen uint32 = iota
	blockShut
	blockLimbo
	blockGone
	blockStuck
)

func (b *block) offset(position uintptr) uintptr { return position & (b.size - 1) }

// position returns where the next record will be reserved.
func (b *block) position() uintptr { return atomic.LoadUintptr(&b.c.position) &^ closedBit }

// header returns the state of the record at position, and where it is.
func (b *block) header(position uintptr) (state uint32, h unsafe.Pointer) {
	h = unsafe.Add(b.data, b.offset(position))
	return atomic.LoadUint32(stateOf(h)), h
}

func (b *block) handle() Handle {
	return Handle(uint64(uintptr(unsafe.Pointer(b.c)))>>baseShift<<generationBits | uint64(b.generation))
}

func (b *block) flags() (flags uint32) {
	if b.mirrored {
		flags |= flagMirrored
	}
	if b.single {
		flags |= flagSingle
	}
	return flags
}

// intact reports whether what never changes in the control block still is as it
// was written.
func (b *block) intact() bool {
	c := b.c
	return atomic.LoadUint32(&c.magic) == magic && atomic.LoadUint32(&c.abi) == abiNumber && atomic.LoadUint32(&c.pid) == b.pid &&
		(atomic.LoadUint32(&c.generation) == b.generation || atomic.LoadUintptr(&c.position)&closedBit != 0) &&
		atomic.LoadUint32(&c.flags) == b.flags() &&
		atomic.LoadUint32(&c.size) == uint32(b.size) && atomic.LoadUint32(&c.max) == uint32(b.max) &&
		atomic.LoadUintptr(&c.data) == uintptr(b.data) && b.announced()
}

// announce tells foreign producers whom to notify. The block is not shut.
func (b *block) announce(notifier uint64) {
	atomic.StoreUint32(&b.c.notifierHigh, uint32(notifier>>32))
	atomic.StoreUint32(&b.c.notifierLow, uint32(notifier))
	b.notifier.Store(notifier)
}

// local reports whether there may be a producer that reserves without a locked
// instruction: a foreign one that knows the ring. Handle stores the notifier's number
// before it gives out the ring's: who does not find the one here is followed by
// all that such a producer does.
func (b *block) local() bool { return b.single && b.notifier.Load() != 0 }

func (b *block) announced() bool {
	n := b.notifier.Load() // first: announce may be under way
	return n == 0 || atomic.LoadUint32(&b.c.notifierHigh) == uint32(n>>32) && atomic.LoadUint32(&b.c.notifierLow) == uint32(n)
}

// idleControl is a control block that waits for its next ring.
type idleControl struct {
	c          *control
	generation uint32 // of the next ring. Kept here, as is pid: anybody can scribble on c
	pid        uint32
	epoch      uint32 // of the last one, for wanted
	position   uintptr
	last       *block // of the last ring, which counts until then; nil if it is new
}

// pool has what outlives a Ring.
var pool blockPool

type blockPool struct {
	open atomic.Int32 // rings that have memory

	mu    sync.Mutex
	idle  []idleControl    // a queue, oldest first
	limbo []*block         // in no order
	turn  int              // which of them sweep looked at last
	rings map[Handle]*Ring // until the block is gone
}

// mostRings is how many rings may have memory at a time: those that are open, and those
// that are closed while a producer holds a reservation. Each may take a mapping or two,
// and a process has 65,530 of those on Linux, Go's own included, which ends when there is
// none left.
const mostRings = 1 << 15

func (p *blockPool) admit(n int32) error {
	if p.open.Add(n) > mostRings {
		p.open.Add(-n)
		return errManyRings
	}
	return nil
}

var errManyRings = fmt.Errorf("ring: there are %d rings already, as many as can be open at a time", mostRings)

// minIdleControls is how many closed control blocks wait before one is reused: a
// producer that was stopped for long between its last look at the position and
// counting a loss, or notifying, does that to the next ring.
const minIdleControls = 8

// firstPosition is that of a new control block, and those of the rings that it has
// later are multiples of it, so that where the first records lie does not depend
// on earlier rings. Not 0, so that nothing depends on that.
const firstPosition = 1 << 12

// bigRing is the size in bytes of a ring that fits no cache. Its memory is zeroed, and given
// back, soon after it was read, while it is still near the processor: a backlog is read
// twice as fast as with larger steps (bench/NOTES.md).
const bigRing = 32 << 20

// openBlock makes the memory of a ring.
func openBlock(size int, memory backing, single bool) (*block, error) {
	sweep()
	if err := pool.admit(1); err != nil {
		return nil, err
	}
	memories := backings
	if memory != nil {
		memories = []backing{memory}
	}
	b := &block{size: max(uintptr(size), uintptr(os.Getpagesize())), single: single && hasMembarrier()}
	b.max = b.size/2 - headerSize
	b.step = min(b.size/8, 16<<10) // what fits into a processor's first cache
	if b.size >= bigRing {
		b.step = 4 << 10
	}
	var err error
	for _, b.memory = range memories {
		if b.data, b.mirrored, err = b.memory.data(b.size); err == nil {
			break
		}
	}
	if err != nil {
		_ = pool.admit(-1)
		return nil, fmt.Errorf("ring: no memory for a ring of %d bytes: %w", b.size, err)
	}
	b.reach = b.size
	if b.mirrored {
		b.reach *= 2
	}
	idle, err := takeControl(b.memory, b.single)
	if err != nil {
		b.memory.free(b.data, b.size, b.mirrored)
		_ = pool.admit(-1)
		return nil, fmt.Errorf("ring: no memory for a ring: %w", err)
	}
	c := idle.c
	b.c, b.generation, b.pid, b.epoch, b.start = c, idle.generation, idle.pid, idle.epoch, idle.position
	if idle.last != nil {
		b.lostBase = idle.last.countNoMore()
		b.strangers = idle.last.strangers || idle.last.notifier.Load() != 0
	}
	// The position is closed, or nobody knows of it yet.
	atomic.StoreUint32(&c.magic, magic)
	atomic.StoreUint32(&c.flags, b.flags())
	atomic.StoreUint32(&c.size, uint32(b.size))
	atomic.StoreUint32(&c.max, uint32(b.max))
	atomic.StoreUint32(&c.notifierLow, 0)
	atomic.StoreUint32(&c.notifierHigh, 0)
	atomic.StoreUintptr(&c.data, uintptr(b.data))
	atomic.StoreUint32(&c.pid, b.pid)
	atomic.StoreUint32(&c.wanted, b.epoch)
	atomic.StoreUint32(&c.waiting, 0)
	atomic.StoreUint32(&c.owner, 0)
	atomic.StoreUint32(&c.turn, atomic.LoadUint32(&c.queue))    // nobody waits
	atomic.StoreUint32(&c.given, atomic.LoadUint32(&c.given)|1) // which goes on: nobody sleeps for a value that comes again
	atomic.StoreUintptr(&c.consumer, b.start)
	atomic.StoreUint32(&c.generation, b.generation)
	atomic.StoreUint32(&c.abi, abiNumber)
	atomic.StoreUintptr(&c.position, b.start)
	return b, nil
}

// takeControl returns the control block that was closed longest ago, or a new one. A
// single producer's is always new: see bury.
func takeControl(memory backing, single bool) (idleControl, error) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if list := pool.idle; !single && len(list) > minIdleControls {
		pool.idle = list[1:]
		return list[0], nil
	}
	c, pid, err := newControl(memory)
	return idleControl{c: c, generation: generationStep, pid: pid, position: firstPosition}, err
}

// newControl returns a control block that nobody has had. Under pool.mu.
func newControl(memory backing) (*control, uint32, error) {
	c, pid, err := memory.control()
	if p := unsafe.Pointer(c); err == nil && (!address.Fits(p) || uintptr(p)&(1<<baseShift-1) != 0) {
		err = fmt.Errorf("the system gave memory at %p, which does not fit a handle", p)
	}
	return c, pid, err
}

// register makes r known by its handle.
func (b *block) register(r *Ring) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if pool.rings == nil {
		pool.rings = map[Handle]*Ring{}
	}
	pool.rings[b.handle()] = r
}

func ringOf(h Handle) *Ring {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return pool.rings[h]
}

// cease refuses all reservations from now on. What is reserved can still be committed
// and read.
func (b *block) cease() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ceased.Store(true)
	if b.life == blockOpen {
		atomic.OrUintptr(&b.c.position, closedBit)
		_ = b.keepClosed() // shut looks whether that went well
		b.wakeWaiting()
	}
}

// shut refuses all reservations from now on, and what commits say later is that the
// ring is closed.
func (b *block) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life = blockShut
	b.shutAt = time.Now()
	b.end = atomic.OrUintptr(&b.c.position, closedBit) &^ closedBit
	atomic.StoreUint32(&b.c.generation, b.generation+1)
	b.unsure = b.keepClosed() != nil
	b.wakeWaiting()
}

// keepClosed returns when the closed bit, which the caller has set, stays. The lock is
// held.
func (b *block) keepClosed() error {
	if !b.local() {
		return nil
	}
	// The single producer's exchange is not atomic for others, and may undo what was
	// just done to the position. After the barrier none that began before is under
	// way, and whoever begins sees the closed bit or, of shut, the generation.
	for range mostShuts {
		if err := membarrier(); err != nil {
			return err
		}
		if atomic.LoadUintptr(&b.c.position)&closedBit != 0 {
			return nil
		}
		atomic.OrUintptr(&b.c.position, closedBit)
	}
	return errOverwritten
}

// mostShuts is how often keepClosed tries. The first barrier may meet an exchange that began
// before the position was closed, and the second one whose producer had looked at the
// generation before that changed; each handler that interrupts them may do so once.
// More is somebody who scribbles.
const mostShuts = 100

// abandon is called once, when the reader is out: it stopped at position from.
// Memory that somebody scribbled on does not tell who still uses it.
func (b *block) abandon(from uintptr, scribbled bool) {
	b.mu.Lock()
	b.life, b.from, b.walked = blockLimbo, from, from
	if scribbled {
		b.bury(blockStuck)
	} else {
		// Before anybody else reaps it, which takes it out again.
		pool.mu.Lock()
		b.limbo = len(pool.limbo)
		pool.limbo = append(pool.limbo, b)
		pool.mu.Unlock()
	}
	b.mu.Unlock()
	b.reap()
	sweep()
}

// sweepAtOnce is how many closed rings each New and each end of a ring looks at, in
// turn: those whose producers died stay for ever.
const sweepAtOnce = 8

// sweep reaps a few of the closed rings that are still somebody's.
func sweep() {
	var some [sweepAtOnce]*block
	pool.mu.Lock()
	n := min(len(pool.limbo), sweepAtOnce)
	for i := range n {
		pool.turn = (pool.turn + 1) % len(pool.limbo)
		some[i] = pool.limbo[pool.turn]
	}
	pool.mu.Unlock()
	for _, b := range some[:n] {
		b.reap()
	}
}

// reap counts the records that were left in a closed ring, and gives the memory
// back when no producer has any of it.
func (b *block) reap() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != blockLimbo {
		return
	}
	if b.single && !b.quiet {
		// Unless it is outside of reserve, there may be one more later.
		for range headLooks { // reserving is a matter of nanoseconds, as a rule
			if b.quiet = !b.unsure && atomic.LoadUint32(&b.c.entered) == 0; b.quiet {
				break
			}
		}
		b.end = atomic.LoadUintptr(&b.c.position) &^ closedBit
	}
	if b.end-b.from > b.size || b.end&positionMask != 0 {
		b.bury(blockStuck)
		return
	}
	if b.walked != b.end {
		b.unread = append(b.unread, stretch{b.walked, b.end})
		b.walked = b.end
	}
	unread := b.unread
	b.unread = nil
	late := time.Since(b.shutAt) > scanTime
	for _, s := range unread {
		if !b.walk(s, !b.scanned) {
			b.bury(blockStuck)
			return
		}
	}
	b.scanned = late
	left := b.pending[:0]
	for _, at := range b.pending {
		switch state, _ := b.header(at); {
		case !isFinal(state):
			left = append(left, at)
		case state&stateMask == stateReady:
			b.lost++ // it had not seen that the ring was shut
		}
	}
	b.pending = left
	switch {
	case len(left) != 0 || len(b.unread) != 0:
	case b.unsure:
		b.bury(blockStuck)
	case b.single && !b.quiet:
		// It may be about to reserve. Come back later.
	default:
		b.memory.free(b.data, b.size, b.mirrored)
		_ = pool.admit(-1)
		b.bury(blockGone)
	}
}

// stretch is a part of the ring that reap has not gone through.
type stretch struct{ from, to uintptr }

// scanTime is how long after the end reap looks behind a record without a header. Until
// then another producer may be about to show that it has one there, and succeed; whoever
// comes later sees that the ring is shut.
const scanTime = 10 * time.Millisecond

// walk goes through the records of s. One without a header is of a producer that is about
// to write it, or died: what is behind it is found by scanning, since its memory is zero.
// The result is false if somebody scribbled there.
func (b *block) walk(s stretch, scan bool) bool {
	for at := s.from; at != s.to; {
		state, h := b.header(at)
		if state == 0 {
			next := s.to
			if scan {
				next = b.nextHeader(at+headerSize, s.to)
			}
			b.unread = append(b.unread, stretch{at, next})
			at = next
			continue
		}
		span := spanOf(uintptr(state & lengthMask))
		if state < stateBusy || s.to-at < span || atomic.LoadUint32(tagOf(h)) != tagAt(at) {
			return false
		}
		switch state & stateMask {
		case stateReady:
			b.lost++
		case stateBusy:
			b.pending = append(b.pending, at)
		}
		at += span
	}
	return true
}

// nextHeader returns where the next record begins that has a header, or to.
func (b *block) nextHeader(at, to uintptr) uintptr {
	for ; at != to; at += headerSize {
		if state, h := b.header(at); state >= stateBusy && spanOf(uintptr(state&lengthMask)) <= to-at && atomic.LoadUint32(tagOf(h)) == tagAt(at) {
			return at
		}
	}
	return to
}

// bury ends b's time in limbo. Its lock is held.
func (b *block) bury(as uint32) {
	b.life = as
	pool.mu.Lock()
	defer pool.mu.Unlock()
	if b.limbo < len(pool.limbo) && pool.limbo[b.limbo] == b {
		last := len(pool.limbo) - 1
		pool.limbo[b.limbo] = pool.limbo[last]
		pool.limbo[b.limbo].limbo = b.limbo
		pool.limbo[last] = nil
		pool.limbo = pool.limbo[:last]
	}
	delete(pool.rings, b.handle())
	if b.single && as == blockGone {
		// Never another ring's: a producer that was stopped for long on its way into
		// reserve writes entered, and what its exchange finds in the position, back. To
		// a page of zeros, which say that the ring is closed.
		b.countForeign()
		b.counted = true
		retireControl(b.c)
		return
	}
	if next := b.generation + generationStep; as == blockGone && next <= generationMask { // else it is retired
		position := (b.end + firstPosition) &^ (firstPosition - 1)
		pool.idle = append(pool.idle, idleControl{b.c, next, b.pid, b.epoch, position, b})
	}
}

// countLost returns how many records did not fit, or were left at the end.
func (b *block) countLost() uint64 {
	b.reap()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countForeign()
	return b.lost
}

// countForeign adds what ring.h counted since the last time; a native word may wrap
// round.
func (b *block) countForeign() {
	if !b.counted {
		now := atomic.LoadUintptr(&b.c.lost)
		b.lost += uint64(now - b.lostBase)
		b.lostBase = now
	}
}

// countNoMore is called when b's control block gets another ring: until then a
// producer that was refused in b's time, and stopped before it counted that, still
// counts for b. It returns what the next ring begins with.
func (b *block) countNoMore() (base uintptr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countForeign()
	b.counted = true
	return b.lostBase
}

// reservation returns the header of the record whose bytes begin at rec, and its state.
// The arithmetic is on numbers until it is known that rec is in the ring: it may be any
// slice of the caller's.
func (b *block) reservation(rec uintptr) (h unsafe.Pointer, state uint32, err error) {
	b.mu.Lock() // the data stays
	defer b.mu.Unlock()
	if b.life == blockGone {
		return nil, 0, ErrClosed // then nothing was reserved
	}
	at := rec - headerSize - uintptr(b.data)
	if at >= b.size || at&7 != 0 {
		return nil, 0, errNotReserved
	}
	h = unsafe.Add(b.data, at)
	state = atomic.LoadUint32(stateOf(h))
	if state&stateMask != stateBusy || b.offset(uintptr(atomic.LoadUint32(tagOf(h))^magic)) != at {
		return nil, 0, errNotReserved
	}
	return h, state, nil
}

// gone reports whether the data is unmapped.
func (b *block) gone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life == blockGone
}
