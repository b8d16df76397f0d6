package notifier

// This file holds every handle that points into a block: each of the 2^20 indexes, with
// the generations on both sides of what is right, by C and by Handle.Notify. What a
// caller that is wrong in another way gets is in api_test.go.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// tally is how often each answer came.
type tally struct{ ok, closed, invalid, other int }

func answersOfGo(handles []uint64) (a tally) {
	for _, h := range handles {
		switch err := Handle(h).Notify(); {
		case err == nil:
			a.ok++
		case errors.Is(err, ErrClosed):
			a.closed++
		case errors.Is(err, os.ErrInvalid):
			a.invalid++
		default:
			a.other++
		}
	}
	return a
}

// answersOfC is by a C thread. A call of an index whose bit was clear is not coalesced.
func answersOfC(handles []uint64) tally {
	r := foreign.Once(handles)
	return tally{int(r.OK), int(r.Closed), int(r.Invalid), int(r.Coalesced + r.Failed + r.Changed)}
}

// Each handle has the answer that its generation deserves, whatever the others had, and
// what hits an index that nobody owns wakes nobody.
func TestEveryHandleOfABlock(t *testing.T) {
	pollers := map[string]func(t *testing.T) *Poller{"fake": func(t *testing.T) *Poller {
		p, _ := fakePoller(t)
		return p
	}}
	backends := Backends()
	if testenv.Race && !testenv.Long() {
		backends = backends[:min(1, len(backends))] // a million handles each take their time
	}
	for _, name := range backends {
		pollers[name] = func(t *testing.T) *Poller { return newPoller(t, WithBackend(name)) }
	}
	for name, start := range pollers {
		t.Run(name+"/handle", func(t *testing.T) { everyHandle(t, start(t), answersOfGo) })
		if name != "fake" && foreign.Available {
			t.Run(name+"/thread", func(t *testing.T) { everyHandle(t, start(t), answersOfC) })
		}
	}
}

func everyHandle(t *testing.T, p *Poller, ask func([]uint64) tally) {
	s := p.set
	list, handles := notifiers(t, p, 300)
	owned := map[uint32]bool{}
	for i, n := range list {
		if i%3 == 0 {
			require.NoError(t, n.Close())
		}
		owned[handles[i].index()] = i%3 != 0
	}
	// Nobody has the other indexes. They get generations as foreign code might write them,
	// so that each of them has a handle that passes.
	random := rand.New(rand.NewPCG(7, 19))
	before := s.generation
	present := make([]uint32, maxHandles)
	for i := range present {
		at := &s.generation[i]
		if !owned[uint32(i)] {
			atomic.StoreUint32(at, []uint32{1, 3, generationMask, random.Uint32N(generationMask) | 1}[i%4])
		}
		present[i] = atomic.LoadUint32(at)
	}
	restore := func() {
		for i := range present {
			if !owned[uint32(i)] {
				atomic.StoreUint32(&s.generation[i], before[i])
			}
		}
	}
	defer restore()
	// Callers that died here for other tests may have left bits.
	settle(t, p)
	for i := range s.leaf {
		atomic.StoreUint32(&s.leaf[i], 0)
	}

	// An odd step, so that a few of them come by every word and bit.
	step := maxHandles/min(testenv.Times(maxHandles), maxHandles) | 1
	kinds := []struct {
		name string
		of   func(present uint32) uint32
	}{
		{"0", func(uint32) uint32 { return 0 }},
		{"1", func(uint32) uint32 { return 1 }},
		{"the present one", func(g uint32) uint32 { return g }},
		{"the next one", func(g uint32) uint32 { return (g + generationStep) & generationMask }},
		{"the one before", func(g uint32) uint32 { return (g - generationStep) & generationMask }},
		{"a ring's", func(g uint32) uint32 { return g - 1 }},
		{"the last one", func(uint32) uint32 { return generationMask }},
		{"one that differs in a bit", func(g uint32) uint32 { return g ^ 1<<random.Uint32N(generationBits) }},
		{"any", func(uint32) uint32 { return random.Uint32() & generationMask }},
		{"any, once more", func(uint32) uint32 { return random.Uint32() & generationMask }},
	}
	each := func(when string) {
		for _, kind := range kinds {
			what := fmt.Sprintf("generation: %s; %s", kind.name, when)
			var ok, closed, invalid []uint64
			for i := 0; i < maxHandles; i += step {
				g := kind.of(present[i])
				h := uint64(makeHandle(s.base, uint32(i), g))
				switch {
				case g&1 == 0:
					invalid = append(invalid, h)
				case g != present[i]:
					closed = append(closed, h)
				case !owned[uint32(i)]:
					ok = append(ok, h)
				}
			}
			require.Equal(t, tally{invalid: len(invalid)}, ask(invalid), what)
			require.Equal(t, tally{closed: len(closed)}, ask(closed), what)
			if p.endErr() != nil {
				continue // nobody would clear the bits
			}
			require.Equal(t, tally{ok: len(ok)}, ask(ok), what)
			settle(t, p)
			for i := range s.leaf {
				if atomic.LoadUint32(&s.leaf[i]) != 0 {
					require.Failf(t, "a bit is left", "word %d; %s", i, what)
				}
			}
			for i, n := range list {
				require.Empty(t, n.ch, "notifier %d; %s", i, what)
			}
		}
	}
	each("open")
	for i, n := range list {
		if !owned[handles[i].index()] {
			continue
		}
		require.Equal(t, tally{ok: 1}, ask([]uint64{uint64(handles[i])}))
		receive(t, n)
		require.NoError(t, n.Err())
	}

	// The same when the poller is closed: the memory stays.
	for i := range list {
		if index := handles[i].index(); owned[index] {
			present[index] += generationStep
		}
	}
	require.NoError(t, p.Close())
	each("closed")
}
