package notifier

// This file holds what depends on the order of memory alone. Threads publish a
// number with a relaxed or a release store and notify, and nobody notifies again
// until the receiver has seen all numbers: a receiver that is woken before it can
// see one, and not again, waits for ever.
//
// What it catches on x86 is a store that waits in a store buffer while its
// notification coalesces with one that is just being taken (libuv #349).

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// takers take what is notified, each in its way; they return false when the
// context has ended.
var takers = map[string]func(ctx context.Context, n *Notifier) bool{
	"C": func(ctx context.Context, n *Notifier) bool {
		select {
		case <-n.C():
			return true
		case <-ctx.Done():
			return false
		}
	},
	"Wait": func(ctx context.Context, n *Notifier) bool { return n.Wait(ctx) == nil },
	"Clear": func(ctx context.Context, n *Notifier) bool {
		for i := 1; !n.Clear(); i++ {
			if i%4096 == 0 {
				if ctx.Err() != nil {
					return false
				}
				runtime.Gosched()
			}
		}
		return true
	},
}

func TestRelaxedPublish(t *testing.T) {
	if testenv.WeakEmulator() {
		t.Skip("the emulator has not the processor's order of memory")
	}
	first := append(Backends(), "fake")[0]
	for taker, take := range takers {
		t.Run(taker, func(t *testing.T) {
			stormy(t, func(t *testing.T, p *Poller, name string) {
				most := 1_000_000 // until the time is up
				if taker == "C" || runtime.GOMAXPROCS(0) == 1 {
					most = 2000 // a token takes too long to come to be a test of this
				} else if name != "thread" && p.backend != first {
					most = 2000 // the doorbell matters little
				}
				if name == "thread" {
					for _, release := range []bool{false, true} {
						if release && p.backend != first {
							continue // one backend will do for a plain store
						}
						t.Run(fmt.Sprintf("release=%v", release), func(t *testing.T) {
							litmusOfThreads(t, p, take, most, release)
						})
					}
				} else {
					litmusOfGoroutines(t, p, take, most, name)
				}
			})
		})
	}
}

// playRounds runs the receiver: in each round all cells come to read its number.
// It returns how many there were.
func playRounds(t *testing.T, n *Notifier, take func(context.Context, *Notifier) bool, most, cells int, open func(round int), cell func(i int) uint64) (round int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	late := time.AfterFunc(testenv.Patience(), cancel)
	defer late.Stop()
	for range testenv.Repeats(most) {
		round++
		if round%8 == 0 { // on one busy processor a round takes each thread's time slice
			late.Reset(testenv.Patience())
		}
		open(round)
		for seen := 0; seen < cells; {
			if !take(ctx, n) {
				for i := range cells {
					t.Logf("cell %d: %d", i, cell(i))
				}
				t.Fatalf("round %d: a notification was lost, or the receiver was woken before it could see what came before one", round)
			}
			seen = 0
			for i := range cells {
				if cell(i) == uint64(round) {
					seen++
				}
			}
		}
	}
	return round
}

func litmusOfThreads(t *testing.T, p *Poller, take func(context.Context, *Notifier) bool, most int, release bool) {
	const threads = 2
	list, handles := notifiers(t, p, 1)
	crowd := foreign.Rounds([]uint64{uint64(handles[0])}, threads, most, release)
	defer crowd.Close()
	played := playRounds(t, list[0], take, most, threads, crowd.Open, crowd.Cell)
	crowd.Stop()
	results := crowd.Wait()
	require.EqualValues(t, threads*played, results.Arrived())
}

// litmusOfGoroutines publishes with plain stores, as ordinary Go code does: a
// store of sync/atomic would be a fence of its own on x86. They are to memory
// outside of Go's heap, so that the race detector lets the receiver look before
// it was woken for them.
func litmusOfGoroutines(t *testing.T, p *Poller, take func(context.Context, *Notifier) bool, most int, name string) {
	list, _ := notifiers(t, p, 1)
	notify := list[0].Notify
	if name == "handle" {
		notify = list[0].handle.Notify
	}
	const goroutines, noise = 2, 4
	scratch, _ := fakePoller(t) // nobody else uses its leaf words, or scans them
	cell := func(i int) *uint32 { return &scratch.set.leaf[i*64] }
	for i := range goroutines + noise {
		*cell(i) = 0
	}
	defer func() {
		for i := range goroutines + noise {
			*cell(i) = 0
		}
	}()
	var gate atomic.Uint32
	const stop = ^uint32(0)
	var all sync.WaitGroup
	for i := range goroutines {
		own := cell(i)
		all.Go(func() {
			for round := uint32(1); ; round++ {
				for spins := 1; gate.Load() < round; spins++ {
					if spins%1024 == 0 {
						runtime.Gosched()
					}
				}
				if gate.Load() == stop {
					return
				}
				// Fill the store buffer with lines that the other wants too.
				for i := range noise {
					*cell(goroutines + i) = round
				}
				*own = round
				if err := notify(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer all.Wait()
	defer gate.Store(stop)
	playRounds(t, list[0], take, most, goroutines,
		func(round int) { gate.Store(uint32(round)) },
		func(i int) uint64 { return uint64(atomic.LoadUint32(cell(i))) })
}
