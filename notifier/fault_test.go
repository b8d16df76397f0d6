package notifier

// This file holds what happens when the doorbell or the shared memory breaks,
// on a doorbell that breaks when it is told to. The systems' own are broken in
// fault_linux_test.go.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

var errBroken = errors.New("broken on purpose")

// A signal that failed is told to the caller, and made good by whoever notifies
// next, for whatever notifier.
func TestSignalFailsOnce(t *testing.T) {
	p, bell := fakePoller(t)
	list, handles := notifiers(t, p, 3)
	for next := range list {
		settle(t, p)
		bell.broken.Store(&errBroken)
		for range 3 {
			require.ErrorIs(t, handles[0].Notify(), errBroken)
		}
		require.ErrorIs(t, handles[1].Notify(), errBroken)
		bell.broken.Store(nil)
		require.Empty(t, list[0].C())
		require.NoError(t, handles[next].Notify())
		receive(t, list[0])
		receive(t, list[1])
		if next == 2 {
			receive(t, list[2])
		}
		settle(t, p)
		for _, n := range list {
			require.Empty(t, n.C())
			require.NoError(t, n.Err())
		}
	}
}

// A signal that failed, with nobody to notify again, is made good at the self-check.
func TestRoundsHeal(t *testing.T) {
	p, bell := fakePoller(t)
	p.watch = time.Millisecond
	list, handles := notifiers(t, p, 1)
	for range 20 {
		bell.broken.Store(&errBroken)
		_ = handles[0].Notify() // fails if the poller is asleep
		receive(t, list[0])
		bell.broken.Store(nil)

		// Somebody scribbled on asleep, so that nobody signals.
		atomic.StoreUint32(&p.set.asleep, 0)
		require.NoError(t, handles[0].Notify())
		receive(t, list[0])
		list[0].Clear()
	}
	require.NoError(t, list[0].Err())
}

// ended checks that all of p's notifiers have ended with a fault that says why.
func ended(t *testing.T, p *Poller, why string, list []*Notifier) {
	t.Helper()
	for _, n := range list {
		within(t, "Done", n.Done())
		n.Clear() // a token from before is still good
		for _, err := range []error{n.Err(), n.Notify(), n.Wait(t.Context())} {
			require.ErrorContains(t, err, "the poller stopped")
			require.ErrorContains(t, err, why)
			require.NotErrorIs(t, err, ErrClosed)
		}
		_, err := n.Handle()
		require.ErrorContains(t, err, why)
		if n.handle != 0 {
			require.ErrorIs(t, n.handle.Notify(), ErrClosed)
		}
	}
	_, err := p.New()
	require.ErrorContains(t, err, why)
	within(t, "the poller's goroutine", p.exited)
	assert.EqualValues(t, kindNone, p.set.kind, "nobody may signal it any more")
	assert.Zero(t, p.Stats().Handles)

	// Close after a fault closes nothing again, and the set is not reused.
	require.NoError(t, p.Close())
	for _, n := range list {
		require.NoError(t, n.Close())
		require.ErrorContains(t, n.Err(), why, "the first reason stays")
	}
	idle.mu.Lock()
	defer idle.mu.Unlock()
	assert.NotContains(t, idle.sets[p.backend], p.set)
}

// A doorbell that is broken for good ends all notifiers, with a handle and
// without, and whoever waits for them.
func TestDoorbellBreaks(t *testing.T) {
	for _, when := range []string{"asleep", "on a signal"} {
		t.Run(when, func(t *testing.T) {
			p, bell := fakePoller(t)
			if when == "asleep" {
				p.watch = time.Millisecond
			}
			list, handles := notifiers(t, p, 3)
			without, err := p.New()
			require.NoError(t, err)
			list = append(list, without)
			var all sync.WaitGroup
			for _, n := range list {
				all.Go(func() { assert.ErrorIs(t, n.Wait(context.Background()), errBroken) })
			}
			settle(t, p)
			bell.checked.Store(&errBroken)
			if when == "on a signal" {
				_ = handles[0].Notify()
				// The bit is not delivered: the waiter sees the fault instead.
			}
			all.Wait()
			ended(t, p, "the fake doorbell broke: broken on purpose", list)
			require.ErrorIs(t, list[0].Err(), errBroken)
		})
	}
}

// A token that was there before the fault is still good.
func TestTokenOutlivesTheFault(t *testing.T) {
	p, bell := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	require.NoError(t, handles[0].Notify())
	settle(t, p)
	bell.checked.Store(&errBroken)
	require.NoError(t, bell.signal())
	within(t, "Done", list[0].Done())
	require.NoError(t, list[0].Wait(t.Context()))
	ended(t, p, "broken on purpose", list)
}

// An overwritten header is a fault, whatever word of it.
func TestHeaderIsOverwritten(t *testing.T) {
	for word := range 5 {
		for _, asleep := range []bool{true, false} {
			t.Run(fmt.Sprint(word, asleep), func(t *testing.T) {
				p, _ := fakePoller(t)
				if asleep {
					p.watch = time.Millisecond
				}
				list, handles := notifiers(t, p, 2)
				s := p.set
				settle(t, p)
				at := []*uint32{&s.magic, &s.abi, &s.kind, &s.descriptor, &s.pid}[word]
				atomic.StoreUint32(at, atomic.LoadUint32(at)+99)
				if !asleep {
					_ = handles[0].Notify()
				}
				ended(t, p, "overwrote the header", list)
			})
		}
	}
}

// Between the moment that a poller finds its doorbell broken and the end of the
// last of its notifiers nobody signals: the descriptor may be somebody else's.
func TestCondemnedIsNotRung(t *testing.T) {
	p := freshPoller(t)
	bell := p.set.bell.(*fakeBell)
	_, handles := notifiers(t, p, 1)
	settle(t, p)
	p.set.condemn()
	signals := bell.signals.Load()
	require.Equal(t, errCondemned, handles[0].Notify())
	assert.Equal(t, signals, bell.signals.Load())
}

// One that is broken while no poller uses it is not given to the next.
func TestIdleSetIsBroken(t *testing.T) {
	for _, backend := range Backends() {
		p := newPoller(t, WithBackend(backend))
		s := p.set
		require.NoError(t, p.Close())
		magic := s.magic
		atomic.StoreUint32(&s.magic, 1)
		p = newPoller(t, WithBackend(backend))
		assert.NotSame(t, s, p.set)
		assert.EqualValues(t, kindNone, s.kind)
		atomic.StoreUint32(&s.magic, magic)
		n, err := p.New()
		require.NoError(t, err)
		require.NoError(t, handleOf(t, n).Notify())
		receive(t, n)
	}
}

// When the process-wide poller breaks its notifiers end, and those made after
// that have a new one.
func TestDefaultPollerBreaks(t *testing.T) {
	if len(Backends()) == 0 {
		t.Skip("there is none")
	}
	p, bell := fakePoller(t)
	process.mu.Lock()
	standing := process.p
	process.p = p
	process.mu.Unlock()
	defer func() {
		process.mu.Lock()
		next := process.p
		process.p = standing
		process.mu.Unlock()
		require.NoError(t, next.Close())
	}()

	create := func() *Notifier {
		n := New()
		t.Cleanup(func() { _ = n.Close() })
		return n
	}
	with, without := create(), create()
	h := handleOf(t, with)
	require.Same(t, p, with.poller)
	settle(t, p)
	bell.checked.Store(&errBroken)
	require.NoError(t, bell.signal())
	within(t, "Done", with.Done())
	require.ErrorIs(t, with.Err(), errBroken)
	require.ErrorIs(t, h.Notify(), ErrClosed)
	within(t, "the poller's goroutine", p.exited)

	for _, n := range []*Notifier{without, create()} {
		require.NoError(t, n.Err())
		h := handleOf(t, n)
		require.NotSame(t, p, n.poller)
		require.NoError(t, h.Notify())
		receive(t, n)
	}
}

// Close ends a poller whose doorbell cannot be signalled, at its self-check.
func TestCloseWithoutSignal(t *testing.T) {
	p, bell := fakePoller(t)
	p.watch = time.Millisecond
	list, _ := notifiers(t, p, 1)
	settle(t, p)
	bell.broken.Store(&errBroken)
	patient(t, "Close", func() { _ = p.Close() })
	require.ErrorIs(t, list[0].Err(), ErrClosed)
}

// Fault and Close at once: whoever is first, everything ends.
func TestFaultAgainstClose(t *testing.T) {
	for range testenv.Times(300) {
		p, bell := fakePoller(t)
		p.watch = 100 * time.Microsecond
		list, handles := notifiers(t, p, 3)
		var all sync.WaitGroup
		all.Go(func() { bell.checked.Store(&errBroken); _ = bell.signal() })
		all.Go(func() { _ = p.Close() })
		all.Go(func() { _ = list[0].Close() })
		all.Go(func() { _ = list[1].Wait(context.Background()) })
		all.Go(func() { _ = handles[2].Notify() })
		patient(t, "everything to end", all.Wait)
		for _, n := range list {
			require.Error(t, n.Err())
		}
		within(t, "the poller's goroutine", p.exited)
	}
}

// scribble writes what comes over the block: the ready set, asleep and the
// generations. The header is TestHeaderIsOverwritten's.
func scribble(s *readySet, random *rand.Rand, times int) {
	for range times {
		value := random.Uint32()
		switch random.IntN(4) {
		case 0:
			value = ^uint32(0)
		case 1:
			value = 0
		}
		i := random.IntN(1 << 20)
		word := []*uint32{
			&s.asleep, &s.root, &s.top[i%len(s.top)], &s.mid[i%len(s.mid)], &s.leaf[i%len(s.leaf)],
			&s.leaf[i%64], &s.generation[i], &s.generation[i%64],
		}[random.IntN(8)]
		atomic.StoreUint32(word, value)
	}
}

// Scribbling over the shared memory makes spurious wake-ups and closes handles,
// but nothing hangs or crashes, and notifiers made afterwards are as they should
// be.
func TestScribbling(t *testing.T) {
	backends := append(Backends(), "fake")
	for seed, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			var p *Poller
			if backend == "fake" {
				// The indexes' generations are no use to anybody after that.
				p = freshPoller(t)
			} else {
				p = newPoller(t, WithBackend(backend))
			}
			p.watch = time.Millisecond
			list, handles := notifiers(t, p, 50)
			random := rand.New(rand.NewPCG(uint64(seed), 6))
			stop := make(chan struct{})
			var all sync.WaitGroup
			for i, h := range handles[:4] {
				all.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							_ = h.Notify()
							list[i].Clear()
							list[i+4].Clear()
						}
					}
				})
			}
			for range testenv.Times(200) {
				scribble(p.set, random, 200)
				for _, n := range list[20:30] {
					require.NoError(t, n.Notify())
					require.NoError(t, n.Wait(t.Context()))
				}
			}
			close(stop)
			patient(t, "the notifying goroutines", all.Wait)
			for _, n := range list {
				require.NoError(t, n.Err())
				require.NoError(t, n.Close())
			}

			made, handles := notifiers(t, p, 200)
			for range 3 {
				for i, h := range handles {
					require.NoError(t, h.Notify(), "number %d", i)
				}
				for _, n := range made {
					receive(t, n)
				}
			}
			// All of that is delivered, and what was left of the scribbling dropped.
			settle(t, p)
			for _, n := range made {
				n.Clear()
			}
			require.NoError(t, made[0].handle.Notify())
			receive(t, made[0])
			require.NoError(t, p.Close())
		})
	}
}
