//go:build gc && ((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package notifier

// This file finds the C functions of callback_*.s, and keeps the table from which
// those of Bind take their handles. Their addresses come from functions, not from
// tables of the linker: they are computed relative to the program counter, so
// nothing needs relocation in any build mode, and a program that calls none of this
// has none of it.

import (
	"errors"
	"sync"
	"sync/atomic"
	"unsafe"
)

// In callback_*.s: the address of the first C function of each kind.
func notifyEntry() unsafe.Pointer
func callbackEntry() unsafe.Pointer
func bindEntry() unsafe.Pointer

// callbackStride is how far apart the functions of Callback are: PCALIGN in
// callback_*.h has the same number.
const callbackStride = 32

func notifyFunc() (unsafe.Pointer, error) {
	if err := prepareCallbacks(); err != nil {
		return nil, err
	}
	return notifyEntry(), nil
}

func callbackFunc(arg int, o callbackOptions) (unsafe.Pointer, error) {
	if err := prepareCallbacks(); err != nil {
		return nil, err
	}
	number := arg*4 + o.returns // the order in callback_*.s
	if o.indirect {
		number += 2
	}
	return unsafe.Add(callbackEntry(), number*callbackStride), nil
}

// boundSlots is what the functions of Bind notify and return. A slot is free while
// its handle is 0 or stale: Close makes it stale, so nothing is written then.
//
//	handle   0, or whose slot it is: written by bindFunc, under boundMu
//	returns  written by bindFunc just before
//
// callback_*.s reads both without an order between them. So a call by the former
// owner's library, which may still come, can return what the next owner's should;
// nothing else can go wrong with it.
var (
	boundSlots [maxBound]struct{ handle, returns atomic.Uint64 }
	boundMu    sync.Mutex
	boundNext  int // slots are given out in turn
)

func bindFunc(h Handle, o callbackOptions) (unsafe.Pointer, error) {
	boundMu.Lock()
	defer boundMu.Unlock()
	free := -1
	for i := range maxBound {
		i = (boundNext + i) % maxBound
		s := &boundSlots[i]
		was := Handle(s.handle.Load())
		if was == h && s.returns.Load() == uint64(o.returns) {
			return boundFunc(i), nil
		}
		if free < 0 && (was == 0 || was.stale()) {
			free = i
		}
	}
	if free < 0 {
		return nil, errors.New("notifier: all 256 functions of Bind are in use: Close frees one")
	}
	boundSlots[free].returns.Store(uint64(o.returns))
	boundSlots[free].handle.Store(uint64(h))
	boundNext = free + 1
	return boundFunc(free), nil
}

func boundFunc(slot int) unsafe.Pointer { return unsafe.Add(bindEntry(), boundOffset(slot)) }

// stale tells whether the handle's notifier has ended.
func (h Handle) stale() bool {
	return atomic.LoadUint32(&setOf(h).generation[h.index()]) != h.generation()
}
