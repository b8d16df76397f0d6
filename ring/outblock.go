package ring

// This file holds the memory of an Out: its layout, and how it comes, ends and comes
// again. As with a Ring, the control block is never unmapped, and the data is when
// nobody uses it any more. Where the system gets it from is memory_*.go's business.

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// The layout is the ABI: ring.h repeats it, and a test compares the two.
const (
	outABI     = 1          // NOTIFIER_OUT_ABI
	outMagic   = 0x2074756f // NOTIFIER_OUT_MAGIC, "out "
	outPadding = 0x80000000
)

// outControl is the control block. It lies in memory for a Ring's.
type outControl struct {
	// These change only while consumer is closed.
	magic      uint32
	abi        uint32 // 0 in a forked child that sees zeros
	generation uint32
	_          uint32
	size       uint32
	max        uint32
	_          [32 - 24]byte
	data       uintptr
	_          [nativePad]byte
	pid        uint32 // the process that may read, where a forked child has a copy; 0: it sees zeros
	_          [128 - 44]byte

	// The words of the protocol: see out.go.
	position uintptr // the writer's
	_        [128 - nativeSize]byte
	consumer uintptr // these are written by readers, which need no other line for it
	_        [nativePad]byte
	held     uintptr
	_        [nativePad]byte
	inside   uint32
	_        [128 - 20]byte
}

const outControlSize = unsafe.Sizeof(outControl{})

var _ [controlSize - outControlSize]byte // it fits

func outTagAt(position uintptr) uint32 { return uint32(position) ^ outMagic }

// outBlock is the memory of one Out in its time. Only end changes.
type outBlock struct {
	c          *outControl
	memory     backing
	mirrored   bool
	data       unsafe.Pointer
	size       uintptr
	max        uintptr
	generation uint32
	pid        uint32  // what the control block has
	start      uintptr // first position
	end        uintptr // the last one, after close
}

// idleOut is a control block that waits for its next Out.
type idleOut struct {
	c          *outControl
	generation uint32 // of the next Out. Kept here, as is pid: anybody can scribble on c
	pid        uint32
	position   uintptr
}

// outs has what outlives an Out.
var outs struct {
	mu    sync.Mutex
	idle  []idleOut   // a queue, oldest first
	limbo []*outBlock // closed, and perhaps in use
	open  map[Handle]*Out
}

func (b *outBlock) offset(position uintptr) uintptr { return position & (b.size - 1) }

// at returns the header at a position.
func (b *outBlock) at(position uintptr) unsafe.Pointer { return unsafe.Add(b.data, b.offset(position)) }

// put writes a header, which nobody reads yet, and returns it.
func (b *outBlock) put(position uintptr, state uint32) unsafe.Pointer {
	h := b.at(position)
	atomic.StoreUint32(stateOf(h), state)
	atomic.StoreUint32(tagOf(h), outTagAt(position))
	return h
}

func (b *outBlock) handle() Handle {
	return Handle(uint64(uintptr(unsafe.Pointer(b.c)))>>baseShift<<generationBits | uint64(b.generation))
}

// intact reports whether what never changes in the control block still is as it was
// written.
func (b *outBlock) intact() bool {
	c := b.c
	return atomic.LoadUint32(&c.magic) == outMagic && atomic.LoadUint32(&c.abi) == outABI && atomic.LoadUint32(&c.pid) == b.pid &&
		atomic.LoadUint32(&c.generation) == b.generation &&
		atomic.LoadUint32(&c.size) == uint32(b.size) && atomic.LoadUint32(&c.max) == uint32(b.max) &&
		atomic.LoadUintptr(&c.data) == uintptr(b.data)
}

// openOut makes the memory of an Out. It is not mapped twice in a row: padding at the
// end costs less than the addresses.
func openOut(size int, memory backing) (*outBlock, error) {
	sweepOuts()
	if err := pool.admit(1); err != nil {
		return nil, err
	}
	if memory == nil {
		memory = backings[len(backings)-1]
	}
	b := &outBlock{memory: memory, size: max(uintptr(size), uintptr(os.Getpagesize()))}
	b.max = b.size/2 - headerSize
	var err error
	if b.data, b.mirrored, err = memory.data(b.size); err != nil {
		_ = pool.admit(-1)
		return nil, fmt.Errorf("ring: no memory for an Out of %d bytes: %w", b.size, err)
	}
	idle, err := takeOutControl(memory)
	if err != nil {
		memory.free(b.data, b.size, b.mirrored)
		_ = pool.admit(-1)
		return nil, fmt.Errorf("ring: no memory for an Out: %w", err)
	}
	c := idle.c
	b.c, b.generation, b.pid, b.start = c, idle.generation, idle.pid, idle.position
	// consumer is closed, or nobody knows of it yet. inside stays as it is: a reader
	// that comes late may have it raised for a moment.
	atomic.StoreUint32(&c.magic, outMagic)
	atomic.StoreUint32(&c.size, uint32(b.size))
	atomic.StoreUint32(&c.max, uint32(b.max))
	atomic.StoreUintptr(&c.data, uintptr(b.data))
	atomic.StoreUint32(&c.pid, b.pid)
	atomic.StoreUintptr(&c.held, 0)
	atomic.StoreUintptr(&c.position, b.start)
	atomic.StoreUint32(&c.generation, b.generation)
	atomic.StoreUint32(&c.abi, outABI)
	atomic.StoreUintptr(&c.consumer, b.start)
	return b, nil
}

// takeOutControl returns the control block that was closed longest ago, or a new one.
func takeOutControl(memory backing) (idleOut, error) {
	outs.mu.Lock()
	defer outs.mu.Unlock()
	if list := outs.idle; len(list) != 0 {
		outs.idle = list[1:]
		return list[0], nil
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	c, pid, err := newControl(memory)
	return idleOut{c: (*outControl)(unsafe.Pointer(c)), generation: generationStep, pid: pid, position: firstPosition}, err
}

// register makes o known by its handle, and keeps it until it is closed.
func (b *outBlock) register(o *Out) {
	outs.mu.Lock()
	defer outs.mu.Unlock()
	if outs.open == nil {
		outs.open = map[Handle]*Out{}
	}
	outs.open[b.handle()] = o
}

// close refuses all reading from now on. Memory that somebody scribbled on does not
// tell who still uses it: it stays for ever.
func (b *outBlock) close(end uintptr, scribbled bool) {
	b.end = end
	atomic.OrUintptr(&b.c.consumer, closedBit)
	atomic.StoreUint32(&b.c.generation, b.generation+1)
	outs.mu.Lock()
	delete(outs.open, b.handle())
	if !scribbled {
		outs.limbo = append(outs.limbo, b)
	}
	outs.mu.Unlock()
	sweepOuts()
}

// sweepOuts gives back what nobody uses any more. See held and inside in out.go.
func sweepOuts() {
	outs.mu.Lock()
	defer outs.mu.Unlock()
	outs.limbo = slices.DeleteFunc(outs.limbo, func(b *outBlock) bool {
		c := b.c
		if atomic.LoadUint32(&c.inside) != 0 || atomic.LoadUintptr(&c.held) != 0 {
			return false
		}
		b.memory.free(b.data, b.size, b.mirrored)
		_ = pool.admit(-1)
		if next := b.generation + generationStep; next <= generationMask { // else it is retired
			outs.idle = append(outs.idle, idleOut{c, next, b.pid, (b.end + firstPosition) &^ (firstPosition - 1)})
		}
		return true
	})
}
