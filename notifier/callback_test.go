//go:build gc && ((linux && (amd64 || arm64)) || (darwin && amd64) || (windows && amd64))

package notifier

// This file holds the C functions of callback_*.s to what notifier_notify does, in
// whatever state a block is: what they return, write and signal, and which registers
// they leave alone. What they are called with here are blocks that no poller has.
// callback_*_test.go has the doorbells.

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ccall"
	"github.com/wakechan/wakechan/internal/cgosync"
	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// testBell is a doorbell whose signals can be looked at.
type testBell struct {
	kind, descriptor uint32
	fill             func()        // until it takes no more; or nil
	take             func() string // what was written to it, and empties it
}

// loneBlock is a block with doorbells of its own, and what notifies in it.
type loneBlock struct {
	*block
	bells  []testBell
	notify func(h uint64) int
}

func newLoneBlock(t testing.TB, notify func(w *loneBlock, h uint64) int) *loneBlock {
	b, _, err := mapBlock()
	require.NoError(t, err)
	t.Cleanup(func() { unmapBlock(b) })
	w := &loneBlock{block: b, bells: testBells(t)}
	w.notify = func(h uint64) int { return notify(w, h) }
	return w
}

func (w *loneBlock) handle(index, generation uint32) uint64 {
	return uint64(makeHandle(uint64(uintptr(unsafe.Pointer(w.block))), index, generation))
}

// put brings one state into the world.
func (w *loneBlock) put(s *blockState) {
	w.magic, w.abi, w.kind, w.pid, w.asleep = s.magic, s.abi, s.kind, s.pid, s.asleep
	w.descriptor = s.descriptor
	if s.bell >= 0 {
		w.descriptor = w.bells[s.bell].descriptor
		if fill := w.bells[s.bell].fill; s.full && fill != nil {
			fill()
		}
	}
	word, _ := position(s.index)
	w.root, w.top[word>>10], w.mid[word>>5], w.leaf[word] = s.root, s.top, s.mid, s.leaf
	w.generation[s.index] = s.present
}

// after is what is there after a call: the words of the path, and what the doorbells
// were told.
type after struct {
	magic, abi, kind, pid, asleep, root, top, mid, leaf, generation uint32
	told                                                            [4]string
}

func (w *loneBlock) after(s *blockState) after {
	word, _ := position(s.index)
	a := after{
		w.magic, w.abi, w.kind, w.pid, w.asleep, w.root, w.top[word>>10], w.mid[word>>5], w.leaf[word], w.generation[s.index],
		[4]string{},
	}
	for i, b := range w.bells {
		a.told[i] = b.take()
	}
	return a
}

// sum tells the whole block apart, but for the descriptor, which is each world's own.
func (w *loneBlock) sum() (sum uint64) {
	w.descriptor = 0
	for i, v := range unsafe.Slice((*uint64)(unsafe.Pointer(w.block)), blockSize/8) {
		sum = (sum ^ v + uint64(i)) * 0x9e3779b97f4a7c15
	}
	return sum
}

// blockState is what a call finds.
type blockState struct {
	magic, abi, kind, descriptor, pid, asleep, root, top, mid, leaf uint32
	bell                                                            int // the descriptor is this one's; or -1
	full                                                            bool

	index, named, present uint32 // whose handle, and the generations of handle and block
	base                  bool   // the handle names a block; otherwise it is one of wrongNumbers
}

func randomState(bells []testBell, indexes []uint32) *blockState {
	oneOf := func(v ...uint32) uint32 { return v[rand.IntN(len(v))] }
	seldom := func(v uint32, others ...uint32) uint32 {
		if rand.IntN(16) != 0 {
			return v
		}
		return oneOf(others...)
	}
	s := &blockState{
		magic: seldom(blockMagic, 0, 1, blockMagic+1, rand.Uint32()),
		abi:   seldom(abiVersion, 0, abiVersion+1, 1<<31, rand.Uint32()),
		pid:   seldom(0, uint32(os.Getpid()), uint32(os.Getpid()), uint32(os.Getppid()), rand.Uint32()),
		index: oneOf(indexes...), named: rand.Uint32N(generationMask) | 1, base: rand.IntN(64) != 0,
		asleep: oneOf(0, 1, 2, 3, 1<<31, 1<<31+1, ^uint32(0), rand.Uint32()),
		bell:   rand.IntN(len(bells)+1) - 1, full: rand.IntN(4) == 0,
		kind: oneOf(kindNone, kindEventFD, kindPipe, kindKqueue, kindIOCP, kindLoop, 6, rand.Uint32()),
		// No descriptor has such a number, nor a handle.
		descriptor: oneOf(1<<30, ^uint32(0), 1<<31),
	}
	if s.bell >= 0 && rand.IntN(2) == 0 {
		s.kind = bells[s.bell].kind
	}
	s.present = seldom(s.named, 0, s.named+1, s.named-1, s.named|1<<generationBits, rand.Uint32())
	s.named = seldom(s.named, 0, s.named&^1)
	word, bit := position(s.index)
	level := func(bit uint32) uint32 {
		return oneOf(0, 1<<bit, 1<<bit, ^uint32(0), ^uint32(1<<bit), rand.Uint32())
	}
	s.leaf, s.mid, s.top, s.root = level(bit), level(word&31), level(word>>5&31), level(word>>10)
	return s
}

func init() {
	moreWays = append(moreWays, way{"function", func(t testing.TB, n *Notifier) func() error {
		h := handleOf(t, n)
		notify, err := NotifyFunc()
		require.NoError(t, err)
		return func() error {
			// cgo and purego call through the runtime, which tells the race detector.
			cgosync.Acquire()
			switch code := int(ccall.Call(notify, uint64(h))); code {
			case 0, 1:
				return nil
			case -1:
				return ErrClosed
			default:
				return fmt.Errorf("notify returned %d", code)
			}
		}
	}})
}

// byHeader is notifier_notify of notifier.h.
func byHeader(_ *loneBlock, h uint64) int {
	switch r := foreign.Notify(h); {
	case r.Changed != 0:
		return 99
	case r.OK != 0:
		return 0
	case r.Coalesced != 0:
		return 1
	case r.Closed != 0:
		return -1
	case r.Invalid != 0:
		return -2
	default:
		return -3
	}
}

// bySpec is notifier_notify as it is described, for builds without C.
func bySpec(w *loneBlock, h uint64) int {
	index, generation := uint32(h>>19)&(1<<20-1), uint32(h)&(1<<19-1)
	switch {
	case h < 1<<48 || h >= 1<<63 || h%2 == 0:
		return -2
	case w.abi != 1 && w.abi != 0, w.magic != 0x77616b65 && w.magic != 0, w.abi == 1 && w.magic == 0:
		return -2
	case w.abi != 1 || testPIDs && w.pid != 0 && w.pid != uint32(os.Getpid()) || w.generation[index] != generation:
		return -1
	}
	word, bit := index%2048*16+index/2048%16, index/32768
	code := int(w.leaf[word] >> bit & 1)
	w.leaf[word] |= 1 << bit
	w.mid[word/32] |= 1 << (word % 32)
	w.top[word/1024] |= 1 << (word / 32 % 32)
	w.root |= 1 << (word / 1024)
	if w.asleep%2 == 1 {
		if !signalBell(w.kind, w.descriptor) {
			return -3
		}
		w.asleep++
	}
	return code
}

// errno is where this thread's is, if the test knows.
var errno *uint32

// byFunction calls the C function of NotifyFunc.
func byFunction(t testing.TB) func(w *loneBlock, h uint64) int {
	notify, err := NotifyFunc()
	require.NoError(t, err)
	return func(_ *loneBlock, h uint64) int {
		const before = 1234
		if errno != nil {
			*errno = before
		}
		code := int(ccall.Call(notify, h))
		if errno != nil && code != -3 && *errno != before {
			return 99
		}
		return code
	}
}

// noCode is for a function whose result does not say what the code was.
const noCode = 100

// byCallback calls any of the C functions of Callback.
func byCallback(t testing.TB) func(w *loneBlock, h uint64) int {
	return func(_ *loneBlock, h uint64) int {
		arg, returns := rand.IntN(6), rand.IntN(2)
		opts := []CallbackOption{Returns(returns)}
		// Whatever the other arguments are, they are not looked at.
		args := []uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}
		args[arg] = h
		if rand.IntN(2) == 0 {
			opts = append(opts, Indirect())
			args[arg] = uint64(uintptr(unsafe.Pointer(&h)))
		}
		f, err := Callback(arg, opts...)
		require.NoError(t, err)
		got := ccall.Call(f, args...)
		keep(&h)
		if got != uint64(returns) {
			return 99
		}
		return noCode
	}
}

// byBound calls any of the C functions of Bind.
func byBound(testing.TB) func(w *loneBlock, h uint64) int {
	return func(_ *loneBlock, h uint64) int {
		slot, returns := rand.IntN(maxBound), rand.Uint64N(2)
		s := &boundSlots[slot]
		handle, before := s.handle.Load(), s.returns.Load()
		s.handle.Store(h)
		s.returns.Store(returns)
		got := ccall.Call(boundFunc(slot), rand.Uint64(), rand.Uint64())
		s.handle.Store(handle)
		s.returns.Store(before)
		if got != returns {
			return 99
		}
		return noCode
	}
}

// wrongNumbers are what can become of h on its way to a callback: the lower 39 and 48
// bits, the lower 32 with zeros or their sign above, and the address of its block.
func wrongNumbers(h uint64) [5]uint64 {
	return [5]uint64{h & (1<<39 - 1), h & (1<<48 - 1), uint64(uint32(h)), uint64(int64(int32(h))), h>>39<<23 | 1}
}

// The C functions do in each state of a block what notifier.h does, and change no
// register that is not theirs.
func TestCallbacksAreTheHeader(t *testing.T) {
	require.NoError(t, prepareCallbacks())
	blocks := map[string]*loneBlock{
		"the description": newLoneBlock(t, bySpec),
		"NotifyFunc":      newLoneBlock(t, byFunction(t)),
		"Callback":        newLoneBlock(t, byCallback(t)),
		"Bind":            newLoneBlock(t, byBound(t)),
	}
	if foreign.Available && !fakeLibc {
		blocks["notifier.h"] = newLoneBlock(t, byHeader)
	}
	// Some indexes only, whose pages are soon there.
	indexes := []uint32{0, 1, 2047, 2048, 32767, 32768, maxHandles - 1}
	for len(indexes) < 50 {
		indexes = append(indexes, rand.Uint32N(maxHandles))
	}
	codes := map[int]int{}
	signals := 0
	states := max(testenv.Times(callbackStates), 500) // so that each code comes, which one in sixteen has or more
	for i := range states {
		s := randomState(blocks["Bind"].bells, indexes)
		var expected after
		var code int
		for _, name := range []string{"the description", "notifier.h", "NotifyFunc", "Callback", "Bind"} {
			w := blocks[name]
			if w == nil {
				continue
			}
			w.put(s)
			h := w.handle(s.index, s.named)
			if !s.base {
				h = wrongNumbers(h)[i%5]
			}
			got := w.notify(h)
			after := w.after(s)
			if name == "the description" {
				expected, code = after, got
				codes[code]++
				if after.asleep != s.asleep {
					signals++
				}
				continue
			}
			if got != code && got != noCode || after != expected {
				t.Fatalf("%s gave %d and left %+v,\nwhere it should give %d and leave %+v,\nof %+v", name, got, after, code, expected, s)
			}
		}
		if i%10000 == 0 || i == states-1 {
			sum := blocks["the description"].sum()
			for name, w := range blocks {
				require.Equal(t, sum, w.sum(), "%s: a word elsewhere differs", name)
			}
		}
	}
	t.Logf("%d states: codes %v, %d signals", states, codes, signals)
	for _, code := range []int{0, 1, -1, -2, -3} {
		assert.NotZero(t, codes[code], "no state had the code %d", code)
	}
	assert.NotZero(t, signals)
}

// Each function of Callback and Bind is another one, and begins as an address must
// that is called through a pointer.
func TestCallbackAddresses(t *testing.T) {
	require.NoError(t, prepareCallbacks())
	var all []unsafe.Pointer
	for arg := range callbackArgs {
		for returns := range 2 {
			for _, opts := range [][]CallbackOption{{Returns(returns)}, {Returns(returns), Indirect()}} {
				f, err := Callback(arg, opts...)
				require.NoError(t, err)
				all = append(all, f)
			}
		}
	}
	for slot := range maxBound {
		all = append(all, boundFunc(slot))
	}
	f, err := NotifyFunc()
	require.NoError(t, err)
	all = append(all, f)
	for _, f := range all {
		require.Equal(t, landingPad, *(*[4]byte)(f), "%p", f)
	}
	count := len(all)
	slices.SortFunc(all, func(a, b unsafe.Pointer) int { return int(uintptr(a)) - int(uintptr(b)) })
	assert.Len(t, slices.Compact(all), count)
}

// A poller that breaks ends its notifiers, and so frees their functions.
func TestBindIsFreedByAFault(t *testing.T) {
	needCallbacks(t)
	n := newOpen(t)
	_, err := n.Bind()
	require.NoError(t, err)
	h := handleOf(t, n)
	assert.False(t, h.stale())
	n.end(faulted)
	assert.True(t, h.stale())
	n.state.Store(closed) // there is no fault to be told of
}
