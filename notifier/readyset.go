package notifier

// This file holds the memory that foreign code shares with a poller, and the Go
// half of the protocol on it. The C half is notifier_notify in notifier.h: each comment here that says "notify" means
// both it and readySet.notify, which take the same steps in the same order.
// Who delivers tokens, and when, is poller.go's business; where the memory
// comes from is memory_*.go's.

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// The layout of a block is the ABI: notifier.h repeats it, and a test compares
// the two. Every word is 32 bits on every system, so that no alignment or size
// depends on the processor.
const (
	abiVersion = 1          // NOTIFIER_ABI
	blockMagic = 0x77616b65 // NOTIFIER_MAGIC, "wake"

	blockShift     = 23 // a block is aligned to 8 MiB
	indexBits      = 20
	generationBits = 19

	maxHandles     = 1 << indexBits
	generationMask = 1<<generationBits - 1
	generationStep = 2 // odd in a notifier's handle, even in a ring's number: bit 0 tells them apart
	leafWords      = maxHandles / 32
)

// block is the shared memory of one poller.
//
// The words of the ready set (root, top, mid, leaf) are written by any thread
// at any time. A bit of leaf stands for one notifier, a bit of a higher level
// for one word of the level below.
//
//	leaf bit  0 -> 1  notify, by fetch_or: a wake-up is due
//	          1 -> 0  deliver, absorb and release (poller; Wait and Clear;
//	                  Close), under the notifier's lock; dropOrphan, for an
//	                  index that has no owner, under the set's lock
//	summary   0 -> 1  notify, by fetch_or, after the level below
//	          1 -> 0  the poller's scan, by exchange, before the level below
//
// All of these are sequentially consistent, and a setter writes low and then
// looks high while the clearer writes high and then looks low: so one of the
// two sees the other, and a set leaf bit is either found by the scan under way
// or announced by a root bit that the next look finds.
type block struct {
	// The header never changes while the block serves a poller. Memory that a
	// fork wiped reads as zeros: ABI 0, which notify takes for CLOSED.
	magic      uint32
	abi        uint32
	kind       uint32 // kindNone, kindEventFD, …: how to signal
	descriptor uint32 // what to signal
	pid        uint32 // who may signal; 0: anyone, since the block is wiped on fork
	_          [27]uint32

	// asleep is odd while the poller is asleep, or about to be.
	//
	//	even -> odd  the poller falling asleep: a number never used before. It
	//	             looks at root after that.
	//	odd -> even  whoever signalled, by CAS, after the doorbell was signalled: from
	//	             then on nobody else needs to. Also the poller, once up.
	//
	// A fresh number each time, so that the CAS of one who signalled for an earlier
	// epoch cannot make this number even.
	asleep uint32
	_      [31]uint32

	root uint32
	_    [31]uint32
	top  [32]uint32
	mid  [1024]uint32
	_    [896]uint32
	leaf [leafWords]uint32

	// generation[i] is the generation of index i's present owner, or of the
	// next one while it has none: a handle with another generation is stale.
	// Written under the set's lock, by admit and release.
	generation [maxHandles]uint32
}

const blockSize = unsafe.Sizeof(block{})

// position returns where index i's leaf bit is. Indexes are spread so that the
// first 2,048 have a cache line of leaf each.
func position(i uint32) (word, bit uint32) {
	return i&2047<<4 | i>>11&15, i >> 15
}

// indexAt is the inverse of position.
func indexAt(word, bit uint32) uint32 {
	return bit<<15 | word&15<<11 | word>>4
}

// readySet is a block, its doorbell, and the book-keeping of its indexes. It
// outlives its poller: a foreign caller that was preempted just before it signals
// must find the same doorbell years later, so Poller.Close hands the whole set
// to the next NewPoller and nothing of it is ever given back to the system.
type readySet struct {
	*block
	base   uint64
	bell   doorbell
	header [5]uint32 // what the block's header must read

	epoch uint32 // last odd number put into asleep; the poller's goroutine only

	// owners[i>>ownerShift][i&ownerMask] is the notifier that has index i now.
	// Written under mu; read by the poller without it.
	owners [maxHandles >> ownerShift]atomic.Pointer[[ownerMask + 1]atomic.Pointer[Notifier]]

	mu    sync.Mutex
	fresh uint32     // indexes from here on were never given out
	freed []freedIdx // a queue, oldest first: see release
	live  int        // indexes that have an owner
	spent int        // indexes whose generations are used up
}

// minFreed is how many indexes wait in the queue before one is reused.
const minFreed = 1024

const (
	ownerShift = 10
	ownerMask  = 1<<ownerShift - 1
)

// freedIdx is an index without an owner and the generation its next one gets.
// The number is kept here as well as in the block, which anybody can scribble on.
type freedIdx struct{ index, generation uint32 }

var errTooMany = fmt.Errorf("notifier: a poller has at most %d handles", maxHandles)

// newReadySet maps a block and ties it to a doorbell.
func newReadySet(bell doorbell, kind, descriptor uint32) (*readySet, error) {
	b, wiped, err := mapBlock()
	if err != nil {
		return nil, fmt.Errorf("notifier: no memory for a poller (%d bytes of address space): %w", blockSize, err)
	}
	base := uint64(uintptr(unsafe.Pointer(b)))
	if runtime.GOOS == "wasip1" {
		// Nothing there follows the address in a handle: Handle.Notify compares
		// it. So the block need not be aligned, and any other number will do.
		base = loopBases.Add(1) << blockShift
	}
	s := &readySet{block: b, base: base, bell: bell, epoch: 1}
	pid := uint32(0)
	if !wiped {
		pid = uint32(os.Getpid())
	}
	s.header = [5]uint32{blockMagic, abiVersion, kind, descriptor, pid}
	b.magic, b.kind, b.descriptor, b.pid = blockMagic, kind, descriptor, pid
	atomic.StoreUint32(&b.abi, abiVersion)

	register(s)
	return s, nil
}

// intact reports whether the header still reads as it was written.
func (s *readySet) intact() bool {
	return [5]uint32{
		atomic.LoadUint32(&s.magic), atomic.LoadUint32(&s.abi), atomic.LoadUint32(&s.kind),
		atomic.LoadUint32(&s.descriptor), atomic.LoadUint32(&s.pid),
	} == s.header
}

// condemn makes the block useless to callers: whatever its doorbell's descriptor
// has become, nobody signals it again.
func (s *readySet) condemn() {
	atomic.StoreUint32(&s.kind, kindNone)
	atomic.StoreUint32(&s.descriptor, ^uint32(0))
}

// admit gives n an index and returns its handle. n is not closed, and its lock
// is held.
func (s *readySet) admit(n *Notifier) (Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f freedIdx
	switch {
	// The oldest, and only when a good many others were freed since: a caller
	// that was preempted in its former owner's time, between its look at the
	// generation and setting the bit, wakes the next owner once for nothing.
	case len(s.freed) > minFreed || s.fresh == maxHandles && len(s.freed) > 0:
		f = s.freed[0]
		s.freed = s.freed[1:]
	case s.fresh < maxHandles:
		f = freedIdx{s.fresh, 1}
		s.fresh++
	default:
		return 0, fmt.Errorf("%w; %d of them are in use, and %d are used up for ever", errTooMany, s.live, s.spent)
	}
	chunk := &s.owners[f.index>>ownerShift]
	if chunk.Load() == nil {
		chunk.Store(new([ownerMask + 1]atomic.Pointer[Notifier]))
	}
	// The owner is known before anyone can have the handle: so whoever finds
	// the bit of a valid notification set finds its owner too.
	chunk.Load()[f.index&ownerMask].Store(n)
	s.clear(f.index)
	atomic.StoreUint32(&s.generation[f.index], f.generation)
	s.live++
	return makeHandle(s.base, f.index, f.generation), nil
}

// release takes n's index back, and reports whether no handle is left. n is marked
// closed, and its lock is held.
func (s *readySet) release(h Handle) (last bool) {
	i, next := h.index(), h.generation()+generationStep
	s.mu.Lock()
	defer s.mu.Unlock()
	atomic.StoreUint32(&s.generation[i], next)
	s.clear(i)
	s.owners[i>>ownerShift].Load()[i&ownerMask].Store(nil)
	s.live--
	if next <= generationMask {
		s.freed = append(s.freed, freedIdx{i, next})
	} else {
		s.spent++
	}
	return s.live == 0
}

// worn reports whether so many indexes are used up, each by 2^18 handles, that another
// set should take the place of s. The handles that s has given out stay what they are.
func (s *readySet) worn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spent > maxHandles/2
}

func (s *readySet) owner(i uint32) *Notifier {
	chunk := s.owners[i>>ownerShift].Load()
	if chunk == nil {
		return nil
	}
	return chunk[i&ownerMask].Load()
}

// all returns every notifier that has an index.
func (s *readySet) all() []*Notifier {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Notifier, 0, s.live)
	for i := range s.fresh {
		if n := s.owner(i); n != nil {
			list = append(list, n)
		}
	}
	return list
}

func (s *readySet) handles() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// clear takes index i's leaf bit away and reports whether it was set. The
// caller holds the owner's lock, or the set's lock while there is no owner.
func (s *readySet) clear(i uint32) bool {
	word, bit := position(i)
	return atomic.AndUint32(&s.leaf[word], ^(uint32(1)<<bit))&(1<<bit) != 0
}

// dropOrphan clears the bit of an index that nobody owns: set by a caller that
// was preempted for long, or by scribbling. Under the set's lock, since a new
// owner's first notification must not be what is cleared. If somebody has that,
// the bit stays: the poller waits for nobody, and admit clears it for a new owner.
func (s *readySet) dropOrphan(i uint32) {
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if s.owner(i) == nil {
		s.clear(i)
	}
}

// notify is the Go twin of notifier_notify in notifier.h, step by step. Every
// step is idempotent: a caller that dies after any of them leaves nothing that
// the next caller does not make good.
func (s *readySet) notify(h Handle) error {
	// 1. The fence. What the caller wrote before is visible before the look at the
	// bit: a release would not do, since the look is a load. Its partner is the fence
	// after clearing, in deliver and absorb.
	fence()
	// 2. The generation. Is the handle's notifier still there?
	i := h.index()
	if atomic.LoadUint32(&s.generation[i]) != h.generation() {
		return ErrClosed
	}
	// 3. The leaf bit. Looked at first: when it is set, the line stays shared.
	word, bit := position(i)
	raise(&s.leaf[word], bit)
	// 4. The levels above. Upwards, also when the bit was set already: whoever set
	// it may have died before it got here.
	raise(&s.mid[word>>5], word&31)
	raise(&s.top[word>>10], word>>5&31)
	raise(&s.root, word>>10)
	// 5. The doorbell. Signal if the poller is asleep, also when coalesced.
	if a := atomic.LoadUint32(&s.asleep); a&1 != 0 {
		if atomic.LoadUint32(&s.kind) == kindNone {
			return errCondemned
		}
		// 5a. The signal. If it fails the number stays odd for the next caller.
		if err := s.bell.signal(); err != nil {
			return err
		}
		// 5b. The even number.
		atomic.CompareAndSwapUint32(&s.asleep, a, a+1)
	}
	return nil
}

var errCondemned = errors.New("notifier: the poller's doorbell is broken, as Err is about to say")

func raise(word *uint32, bit uint32) {
	if atomic.LoadUint32(word)&(1<<bit) == 0 {
		atomic.OrUint32(word, 1<<bit)
	}
}

// fallAsleep is called by the poller with nothing left to do, again each time that
// it is woken. It returns false when the poller may sleep: asleep was odd, with
// a number of its own, before root was seen empty; so whoever sets a root bit
// after that sees it odd, and signals. It is up again when fallAsleep returns true.
func (s *readySet) fallAsleep(stop *atomic.Uint32) bool {
	s.epoch += 2
	// An exchange where a store would do: in race builds a store of memory outside
	// of the Go heap is no more than a release, which the look at root may overtake,
	// and so it is under qemu-aarch64 on x86. On amd64 both are XCHG.
	atomic.SwapUint32(&s.asleep, s.epoch)
	if atomic.LoadUint32(&s.root) == 0 && stop.Load() == 0 {
		return false
	}
	s.wakeUp()
	return true
}

func (s *readySet) wakeUp() {
	atomic.StoreUint32(&s.asleep, s.epoch+1)
}

// scan empties the ready set from the top and calls deliver for each index
// whose bit it finds. Each level is cleared before the one below is looked at.
// The work is bounded by the set's size whatever the bits say.
func (s *readySet) scan(deliver func(i uint32)) {
	if atomic.LoadUint32(&s.root) == 0 {
		return
	}
	for r := atomic.SwapUint32(&s.root, 0); r != 0; r &= r - 1 {
		t := uint32(bits.TrailingZeros32(r))
		for top := atomic.SwapUint32(&s.top[t], 0); top != 0; top &= top - 1 {
			m := t<<5 | uint32(bits.TrailingZeros32(top))
			for mid := atomic.SwapUint32(&s.mid[m], 0); mid != 0; mid &= mid - 1 {
				word := m<<5 | uint32(bits.TrailingZeros32(mid))
				for leaf := atomic.LoadUint32(&s.leaf[word]); leaf != 0; leaf &= leaf - 1 {
					deliver(indexAt(word, uint32(bits.TrailingZeros32(leaf))))
				}
			}
		}
	}
}

// fence is a full memory fence: nothing before it is reordered with anything
// after it, a store with a later load included. A sequentially consistent store
// followed by a sequentially consistent load, of a word that nobody else has,
// is one on every processor that Go supports (arm64: STLR, LDAR; ppc64, s390x,
// mips, riscv64: a barrier in each). An Add is not: the loops of arm64 without LSE
// (LDAXR, STLXR) and of ppc64 let a later plain load overtake their store. The
// compiler keeps both, as it does all of sync/atomic (go.dev/ref/mem, "Atomic
// Values"). In race builds a store is no more than a release: on x86 the locked
// instructions before it, raceNotify's Add and clear's And, are the fence there.
func fence() {
	var private atomic.Uint32
	private.Store(1)
	if !storeIsFence {
		private.Load()
	}
}

// storeIsFence: on x86 that store is XCHG, which orders all by itself (Intel SDM
// vol. 3, 9.2). A load of the word just after it would wait for it, which costs as
// much again as the fence.
const storeIsFence = runtime.GOARCH == "amd64" || runtime.GOARCH == "386"

var errUnsupported = fmt.Errorf("notifier: no doorbell for foreign code on this system: %w", errors.ErrUnsupported)
