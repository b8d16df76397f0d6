package chanadapter

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
	"unsafe"
)

// The layout is the ABI: ring.h repeats it, and a test compares the two.
const (
	ringABI   = 1          // NOTIFIER_RING_ABI
	ringMagic = 0x676e6972 // NOTIFIER_RING_MAGIC, "ring"

	ringBaseShift      = 12
	ringAddressBits    = 48
	ringGenerationBits = 28
	ringGenerationMask = 1<<ringGenerationBits - 1

	flagMirrored = 1
	flagSingle   = 2

	closedBit    uintptr = 1
	positionMask uintptr = 7

	wantedBit   uint32 = 1
	headOnlyBit uint32 = 2

	headerSize = 8

	stateBusy    uint32 = 0x40000000
	stateReady   uint32 = 0x80000000
	stateDropped uint32 = 0xc0000000
	stateMask    uint32 = 0xc0000000
	lengthMask   uint32 = 0x3fffffff

	minRingSize = 64
)

const (
	nativeSize = unsafe.Sizeof(uintptr(0))
	nativePad  = 8 - nativeSize // a native word has 8 bytes to itself
)

// ringControl is the control block. Words of 32 bits and of a pointer's size only,
// so that all of them are lock-free on every system.
type ringControl struct {
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
	_        [128 - 12]byte
	lost     uintptr
	_        [128 - nativeSize]byte
}

const ringControlSize = unsafe.Sizeof(ringControl{})

// ringMemory is the contract that every system's memory meets.
type ringMemory interface {
	// control returns a zeroed control block at a multiple of 4096, which is never
	// given back, and what its pid is to be: 0 if a forked child sees zeros there,
	// this process's if it has a copy.
	control() (c *ringControl, pid uint32, err error)

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

func tagAt(position uintptr) uint32 { return uint32(position) ^ ringMagic }

func stateOf(header unsafe.Pointer) *uint32 { return (*uint32)(header) }
func tagOf(header unsafe.Pointer) *uint32   { return (*uint32)(unsafe.Add(header, 4)) }

// ringBlock is the memory of one ring in its time. What can be read without a
// lock never changes.
type ringBlock struct {
	c          *ringControl
	memory     ringMemory
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

	epoch    uint32        // the number last stored in wanted; the reader's
	notifier atomic.Uint64 // what announce stored

	mu       sync.Mutex
	life     uint32
	lostBase uintptr   // c.lost, as far as it is in lost
	lost     uint64    // what was left in the ring, and what producers counted
	counted  bool      // for good: the control block is another's, or retired
	quiet    bool      // single: the producer was seen outside of reserve
	unsure   bool      // single: whether it is cannot be known
	end      uintptr   // the position when it was shut
	from     uintptr   // where the reader stopped
	walked   uintptr   // how far reap has looked
	pending  []uintptr // of what it has looked at: records that are reserved
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

func (b *ringBlock) offset(position uintptr) uintptr { return position & (b.size - 1) }

// header returns the state of the record at position, and where it is.
func (b *ringBlock) header(position uintptr) (state uint32, h unsafe.Pointer) {
	h = unsafe.Add(b.data, b.offset(position))
	return atomic.LoadUint32(stateOf(h)), h
}

func (b *ringBlock) handle() RingHandle {
	return RingHandle(uint64(uintptr(unsafe.Pointer(b.c)))>>ringBaseShift<<ringGenerationBits | uint64(b.generation))
}

func (b *ringBlock) flags() (flags uint32) {
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
func (b *ringBlock) intact() bool {
	c := b.c
	return atomic.LoadUint32(&c.magic) == ringMagic && atomic.LoadUint32(&c.abi) == ringABI && atomic.LoadUint32(&c.pid) == b.pid &&
		(atomic.LoadUint32(&c.generation) == b.generation || atomic.LoadUintptr(&c.position)&closedBit != 0) &&
		atomic.LoadUint32(&c.flags) == b.flags() &&
		atomic.LoadUint32(&c.size) == uint32(b.size) && atomic.LoadUint32(&c.max) == uint32(b.max) &&
		atomic.LoadUintptr(&c.data) == uintptr(b.data) && b.announced()
}

// announce tells foreign producers whom to notify. The block is not shut.
func (b *ringBlock) announce(notifier uint64) {
	atomic.StoreUint32(&b.c.notifierHigh, uint32(notifier>>32))
	atomic.StoreUint32(&b.c.notifierLow, uint32(notifier))
	b.notifier.Store(notifier)
}

// local reports whether there may be a producer that reserves without a locked
// instruction: a foreign one that knows the ring. Handle stores the notifier's number
// before it gives out the ring's: who does not find the one here is followed by
// all that such a producer does.
func (b *ringBlock) local() bool { return b.single && b.notifier.Load() != 0 }

func (b *ringBlock) announced() bool {
	n := b.notifier.Load() // first: announce may be under way
	return n == 0 || atomic.LoadUint32(&b.c.notifierHigh) == uint32(n>>32) && atomic.LoadUint32(&b.c.notifierLow) == uint32(n)
}

// idleControl is a control block that waits for its next ring.
type idleControl struct {
	c          *ringControl
	generation uint32 // of the next ring. Kept here, as is pid: anybody can scribble on c
	pid        uint32
	epoch      uint32 // of the last one, for wanted
	position   uintptr
	last       *ringBlock // of the last ring, which counts until then; nil if it is new
}

// ringPool has what outlives a Ring.
var ringPool struct {
	mu    sync.Mutex
	idle  []idleControl // a queue, oldest first
	limbo []*ringBlock
	rings map[RingHandle]*Ring // until the block is gone
}

// minIdleControls is how many closed control blocks wait before one is reused: a
// producer that was stopped for long between its last look at the position and
// counting a loss, or notifying, does that to the next ring.
const minIdleControls = 8

// firstPosition is that of a new control block, and those of the rings that it has
// later are multiples of it, so that where the first records lie does not depend
// on earlier rings. Not 0, so that nothing depends on that.
const firstPosition = 1 << 12

// openBlock makes the memory of a ring.
func openBlock(size int, memory ringMemory, single bool) (*ringBlock, error) {
	sweep()
	memories := ringMemories
	if memory != nil {
		memories = []ringMemory{memory}
	}
	b := &ringBlock{size: max(uintptr(size), uintptr(os.Getpagesize())), single: single && hasMembarrier()}
	b.max = b.size/2 - headerSize
	b.step = min(b.size/8, 16<<10) // what fits into a processor's first cache
	var err error
	for _, b.memory = range memories {
		if b.data, b.mirrored, err = b.memory.data(b.size); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("chanadapter: no memory for a ring of %d bytes: %w", b.size, err)
	}
	b.reach = b.size
	if b.mirrored {
		b.reach *= 2
	}
	idle, err := takeControl(b.memory, b.single)
	if err != nil {
		b.memory.free(b.data, b.size, b.mirrored)
		return nil, fmt.Errorf("chanadapter: no memory for a ring: %w", err)
	}
	c := idle.c
	b.c, b.generation, b.pid, b.epoch, b.start = c, idle.generation, idle.pid, idle.epoch, idle.position
	if idle.last != nil {
		b.lostBase = idle.last.countNoMore()
	}
	// The position is closed, or nobody knows of it yet.
	atomic.StoreUint32(&c.magic, ringMagic)
	atomic.StoreUint32(&c.flags, b.flags())
	atomic.StoreUint32(&c.size, uint32(b.size))
	atomic.StoreUint32(&c.max, uint32(b.max))
	atomic.StoreUint32(&c.notifierLow, 0)
	atomic.StoreUint32(&c.notifierHigh, 0)
	atomic.StoreUintptr(&c.data, uintptr(b.data))
	atomic.StoreUint32(&c.pid, b.pid)
	atomic.StoreUint32(&c.wanted, b.epoch)
	atomic.StoreUintptr(&c.consumer, b.start)
	atomic.StoreUint32(&c.generation, b.generation)
	atomic.StoreUint32(&c.abi, ringABI)
	atomic.StoreUintptr(&c.position, b.start)
	return b, nil
}

// takeControl returns the control block that was closed longest ago, or a new one. A
// single producer's is always new: see bury.
func takeControl(memory ringMemory, single bool) (idleControl, error) {
	ringPool.mu.Lock()
	defer ringPool.mu.Unlock()
	fresh := memory.control
	if single {
		fresh = singleControl
	} else if list := ringPool.idle; len(list) > minIdleControls {
		ringPool.idle = list[1:]
		return list[0], nil
	}
	c, pid, err := fresh()
	if err != nil {
		return idleControl{}, err
	}
	if base := uint64(uintptr(unsafe.Pointer(c))); base == 0 || base&(1<<ringBaseShift-1) != 0 || base>>ringAddressBits != 0 {
		return idleControl{}, fmt.Errorf("the system gave memory at %#x, which does not fit a handle (%d-bit addresses)", base, ringAddressBits)
	}
	return idleControl{c: c, generation: 1, pid: pid, position: firstPosition}, nil
}

// register makes r known by its handle.
func (b *ringBlock) register(r *Ring) {
	ringPool.mu.Lock()
	defer ringPool.mu.Unlock()
	if ringPool.rings == nil {
		ringPool.rings = map[RingHandle]*Ring{}
	}
	ringPool.rings[b.handle()] = r
}

func ringOf(h RingHandle) *Ring {
	ringPool.mu.Lock()
	defer ringPool.mu.Unlock()
	return ringPool.rings[h]
}

// shut refuses all reservations from now on.
func (b *ringBlock) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life = blockShut
	b.end = atomic.OrUintptr(&b.c.position, closedBit) &^ closedBit
	atomic.StoreUint32(&b.c.generation, b.generation+1)
	if !b.local() {
		return
	}
	// The single producer's exchange is not atomic for others, and may undo what was
	// just done to the position. After the barrier none that began before is under
	// way, and whoever enters sees the generation.
	for range mostShuts {
		if membarrier() != nil {
			break
		}
		if atomic.LoadUintptr(&b.c.position)&closedBit != 0 {
			return
		}
		atomic.OrUintptr(&b.c.position, closedBit)
	}
	b.unsure = true
}

// mostShuts is how often shut tries. The first barrier may meet an exchange that began
// before the position was closed, and the second one whose producer had looked at the
// generation before that changed; each handler that interrupts them may do so once.
// More is somebody who scribbles.
const mostShuts = 100

// abandon is called once, when the reader is out: it stopped at position from.
// Memory that somebody scribbled on does not tell who still uses it.
func (b *ringBlock) abandon(from uintptr, scribbled bool) {
	b.mu.Lock()
	b.life, b.from, b.walked = blockLimbo, from, from
	if scribbled {
		b.bury(blockStuck)
	} else {
		// Before anybody else reaps it, which takes it out again.
		ringPool.mu.Lock()
		ringPool.limbo = append(ringPool.limbo, b)
		ringPool.mu.Unlock()
	}
	b.mu.Unlock()
	sweep()
}

// sweep reaps what it can.
func sweep() {
	ringPool.mu.Lock()
	limbo := append([]*ringBlock(nil), ringPool.limbo...)
	ringPool.mu.Unlock()
	for _, b := range limbo {
		b.reap()
	}
}

// reap counts the records that were left in a closed ring, and gives the memory
// back when no producer has any of it.
func (b *ringBlock) reap() {
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
	for b.walked != b.end {
		state, h := b.header(b.walked)
		if state == 0 {
			// Its producer is about to write how long it is. Come back later.
			return
		}
		span := spanOf(uintptr(state & lengthMask))
		if state < stateBusy || b.end-b.walked < span || atomic.LoadUint32(tagOf(h)) != tagAt(b.walked) {
			b.bury(blockStuck)
			return
		}
		switch state & stateMask {
		case stateReady:
			b.lost++
		case stateBusy:
			b.pending = append(b.pending, b.walked)
		}
		b.walked += span
	}
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
	case len(left) != 0:
	case b.unsure:
		b.bury(blockStuck)
	case b.single && !b.quiet:
		// It may be about to reserve. Come back later.
	default:
		b.memory.free(b.data, b.size, b.mirrored)
		b.bury(blockGone)
	}
}

// bury ends b's time in limbo. Its lock is held.
func (b *ringBlock) bury(as uint32) {
	b.life = as
	ringPool.mu.Lock()
	defer ringPool.mu.Unlock()
	for i, other := range ringPool.limbo {
		if other == b {
			ringPool.limbo = append(ringPool.limbo[:i:i], ringPool.limbo[i+1:]...)
			break
		}
	}
	delete(ringPool.rings, b.handle())
	if b.single && as == blockGone {
		// Never another ring's: a producer that was stopped for long on its way into
		// reserve writes entered, and what its exchange finds in the position, back. To
		// a page of zeros, which say that the ring is closed.
		b.countForeign()
		b.counted = true
		retireControl(b.c)
		return
	}
	if next := b.generation + 1; as == blockGone && next <= ringGenerationMask { // else it is retired
		position := (b.end + firstPosition) &^ (firstPosition - 1)
		ringPool.idle = append(ringPool.idle, idleControl{b.c, next, b.pid, b.epoch, position, b})
	}
}

// countLost returns how many records did not fit, or were left at the end.
func (b *ringBlock) countLost() uint64 {
	b.reap()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countForeign()
	return b.lost
}

// countForeign adds what ring.h counted since the last time; a native word may wrap
// round.
func (b *ringBlock) countForeign() {
	if !b.counted {
		now := atomic.LoadUintptr(&b.c.lost)
		b.lost += uint64(now - b.lostBase)
		b.lostBase = now
	}
}

// countNoMore is called when b's control block gets another ring: until then a
// producer that was refused in b's time, and stopped before it counted that, still
// counts for b. It returns what the next ring begins with.
func (b *ringBlock) countNoMore() (base uintptr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countForeign()
	b.counted = true
	return b.lostBase
}

// gone reports whether the data is unmapped.
func (b *ringBlock) gone() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life == blockGone
}
