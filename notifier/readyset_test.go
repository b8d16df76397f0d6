package notifier

// This file holds the protocol taken apart: the ready set without a poller, or
// with notifications that stop half way, step by step. What it is for as a whole
// is in suite_test.go and stress_test.go.

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
)

// steps are those of a notification of index i, without the looks between them.
func steps(s *readySet, i uint32) []func() {
	word, bit := position(i)
	return []func(){
		func() { raise(&s.leaf[word], bit) },
		func() { raise(&s.mid[word>>5], word&31) },
		func() { raise(&s.top[word>>10], word>>5&31) },
		func() { raise(&s.root, word>>10) },
		func() { _ = s.bell.signal() },
	}
}

func take(steps []func()) {
	for _, step := range steps {
		step()
	}
}

// notifiers makes some with handles.
func notifiers(t testing.TB, p *Poller, count int) (list []*Notifier, handles []Handle) {
	t.Helper()
	for range count {
		n, err := p.New()
		require.NoError(t, err)
		list = append(list, n)
		handles = append(handles, handleOf(t, n))
	}
	return list, handles
}

func TestPositions(t *testing.T) {
	seen := make([]bool, maxHandles)
	for i := range uint32(maxHandles) {
		word, bit := position(i)
		if word >= leafWords || bit >= 32 || indexAt(word, bit) != i || seen[word<<5|bit] {
			t.Fatalf("index %d: word %d, bit %d, and back %d", i, word, bit, indexAt(word, bit))
		}
		seen[word<<5|bit] = true
	}
	lines := map[uint32]bool{} // of 64 bytes, 16 words
	for i := range uint32(2048) {
		word, _ := position(i)
		lines[word>>4] = true
	}
	assert.Len(t, lines, 2048, "the first 2,048 have a line each")
}

func TestHandleEncoding(t *testing.T) {
	p := freshPoller(t)
	_, handles := notifiers(t, p, 3)
	for i, h := range handles {
		assert.Equal(t, p.set.base, h.base())
		assert.EqualValues(t, i, h.index())
		assert.EqualValues(t, 1, h.generation())
	}
}

// An index is reused oldest first, and only when many others were freed since.
func TestReuseOfIndexes(t *testing.T) {
	p := freshPoller(t)
	_, kept := notifiers(t, p, 10)
	var freed []uint32
	for range minFreed {
		n, h := notifiers(t, p, 1)
		require.False(t, slices.Contains(freed, h[0].index()), "reused while fresh ones were there")
		require.NoError(t, n[0].Close())
		freed = append(freed, h[0].index())
	}
	// One more is free, so that the oldest may go.
	n, h := notifiers(t, p, 1)
	require.NoError(t, n[0].Close())
	freed = append(freed, h[0].index())
	for i := range 3000 {
		n, h := notifiers(t, p, 1)
		require.Equal(t, freed[0], h[0].index(), "number %d", i)
		require.NotContains(t, kept, h[0])
		freed = append(freed[1:], h[0].index())
		require.NoError(t, n[0].Close())
	}
}

// An index whose generations are used up is never given out again.
func TestRetirementOfIndexes(t *testing.T) {
	p := freshPoller(t)
	n, h := notifiers(t, p, 1)
	first := h[0]

	// As if it had been given out 2^19-1 times.
	last := first | generationMask
	n[0].mu.Lock()
	n[0].handle = last
	n[0].mu.Unlock()
	atomic.StoreUint32(&p.set.generation[first.index()], generationMask)
	require.NoError(t, last.Notify())
	receive(t, n[0])
	require.NoError(t, n[0].Close())

	for _, gone := range []Handle{first, last, first &^ generationMask} {
		require.Error(t, gone.Notify())
	}
	assert.Empty(t, p.set.freed)
	for range 2*minFreed + 100 {
		n, h := notifiers(t, p, 1)
		require.NotEqual(t, first.index(), h[0].index())
		require.NoError(t, n[0].Close())
	}
	require.ErrorIs(t, first.Notify(), ErrClosed)
	require.ErrorIs(t, last.Notify(), ErrClosed)
}

// A set whose indexes are mostly used up serves no new poller, and the default poller
// gives way to a new one. What it has given out goes on.
func TestWornSetsAreReplaced(t *testing.T) {
	wear := func(p *Poller) {
		p.set.mu.Lock()
		p.set.spent = maxHandles/2 + 1 // as if so many had been given out 2^18 times
		p.set.mu.Unlock()
	}
	if len(Backends()) == 0 {
		t.Skip("no doorbell on this system")
	}
	back := hideIdle()
	p := newPoller(t)
	back()
	wear(p)
	require.NoError(t, p.Close())
	next := newPoller(t, WithBackend(p.backend))
	assert.NotSame(t, p.set, next.set)

	process.mu.Lock()
	standing := process.p
	process.p = nil
	process.mu.Unlock()
	defer func() {
		process.mu.Lock()
		defer process.mu.Unlock()
		_ = process.p.Close()
		process.p = standing
	}()
	before := New()
	defer before.Close()
	h := handleOf(t, before)
	wear(before.poller)
	old := before.poller
	defer func() { require.NoError(t, old.Close()) }()
	after := New()
	defer after.Close()
	require.NoError(t, handleOf(t, after).Notify())
	receive(t, after)
	assert.NotSame(t, old, after.poller)
	require.NoError(t, h.Notify())
	receive(t, before)
}

// The one handle too many is an error that names the limit; the notifier works
// on between goroutines, and has a handle once another is closed.
func TestTooManyHandles(t *testing.T) {
	p := freshPoller(t)
	first, _ := notifiers(t, p, 1)
	p.set.mu.Lock()
	p.set.fresh = maxHandles - 2 // as if so many were in use
	p.set.mu.Unlock()
	_, h := notifiers(t, p, 2)
	assert.EqualValues(t, maxHandles-1, h[1].index())
	require.NoError(t, h[1].Notify())

	n, err := p.New()
	require.NoError(t, err)
	for range 2 {
		_, err = n.Handle()
		require.ErrorContains(t, err, "1048576")
	}
	require.NoError(t, n.Notify())
	require.NoError(t, n.Wait(t.Context()))
	require.NoError(t, n.Err())
	assert.Equal(t, 3, p.Stats().Handles)

	require.NoError(t, first[0].Close())
	assert.Zero(t, handleOf(t, n).index(), "the one that was freed, though few are")
	require.NoError(t, handleOf(t, n).Notify())
	receive(t, n)
}

// A closed notifier's handles are recognised at each step of its index's life.
func TestGenerations(t *testing.T) {
	p := freshPoller(t)
	var stale []Handle
	for range 5 {
		n, h := notifiers(t, p, 1)
		require.NoError(t, h[0].Notify())
		receive(t, n[0])
		require.NoError(t, n[0].Close())
		stale = append(stale, h[0])
		for _, s := range stale {
			require.ErrorIs(t, s.Notify(), ErrClosed)
		}
		p.set.mu.Lock()
		// As if many others had been freed: the index is next.
		p.set.fresh = maxHandles
		p.set.mu.Unlock()
	}
	n, h := notifiers(t, p, 1)
	assert.Equal(t, stale[0].index(), h[0].index())
	assert.EqualValues(t, 11, h[0].generation())
	for _, s := range stale {
		require.ErrorIs(t, s.Notify(), ErrClosed)
	}
	settle(t, p)
	require.Empty(t, n[0].C())
}

// What is left of a caller that was preempted between its look at the generation
// and setting the bit, for so long that its notifier was closed: the bit is
// ignored while nobody has the index, and gone when somebody has.
func TestOrphanBits(t *testing.T) {
	p := freshPoller(t)
	_, h := notifiers(t, p, 1) // starts the poller
	for _, i := range []uint32{1, 2047, 2048, 123456, maxHandles - 1} {
		settle(t, p)
		take(steps(p.set, i)[:4])
		require.NoError(t, h[0].Notify()) // signals
		wait(t, "the orphan's bit to be dropped", func() bool {
			word, bit := position(i)
			return atomic.LoadUint32(&p.set.leaf[word])>>bit&1 == 0
		})
	}
	settle(t, p)
	take(steps(p.set, 1)[:1])
	n, _ := notifiers(t, p, 1)
	assert.EqualValues(t, 1, n[0].handle.index())
	require.False(t, isSet(n[0]), "the former owner's bit")

	// One that has an owner by the time the poller gets to it is none.
	take(steps(p.set, 1)[:1])
	p.set.dropOrphan(1)
	require.True(t, isSet(n[0]))
	require.NoError(t, n[0].handle.Notify())
	receive(t, n[0])
}

// A notification takes five steps. Whoever dies after any of them leaves nothing
// that the next caller, of the same notifier, does not make good; and what only
// lacks the signal, nothing that the next caller of any does not.
func TestDeadCallers(t *testing.T) {
	again := map[string]func(h Handle) error{"handle": Handle.Notify}
	if foreign.Available {
		again["C"] = func(h Handle) error { return errorOf(foreign.Notify(uint64(h))) }
	}
	for _, backend := range Backends() {
		for name, notify := range again {
			t.Run(backend+"/"+name, func(t *testing.T) {
				p := newPoller(t, WithBackend(backend))
				list, handles := notifiers(t, p, 5000)
				for _, which := range []int{0, 1, 2047, 2048, 4999} {
					n, h := list[which], handles[which]
					all := steps(p.set, h.index())
					for done := range len(all) + 1 {
						settle(t, p)
						take(all[:done])
						require.NoError(t, notify(h))
						receive(t, n)
						n.Clear()
						settle(t, p)
						require.False(t, isSet(n), "after %d steps", done)
						require.Empty(t, n.C())
					}

					settle(t, p)
					take(all[:4])
					other := (which + 7) % len(list)
					require.NoError(t, notify(handles[other]))
					receive(t, n)
					receive(t, list[other])
				}
			})
		}
	}
}

// A poller that falls asleep says so with a number never used before, so that who
// signalled for an earlier epoch cannot make the number of this one even; and it does
// not stay there with something to do.
func TestFallingAsleep(t *testing.T) {
	p := freshPoller(t)
	s := p.set // its poller has not started
	asleep := func() uint32 { return atomic.LoadUint32(&s.asleep) }
	var stop atomic.Uint32
	epochs := map[uint32]bool{}
	for range 100 {
		require.False(t, s.fallAsleep(&stop))
		epoch := asleep()
		require.EqualValues(t, 1, epoch&1)
		require.False(t, epochs[epoch], "a number used before")
		epochs[epoch] = true
		if len(epochs)%3 == 0 {
			s.wakeUp()
			require.Zero(t, asleep()&1)
		}
	}
	atomic.StoreUint32(&s.root, 1)
	require.True(t, s.fallAsleep(&stop))
	require.Zero(t, asleep()&1, "up, so that nobody signals")
	s.scan(func(uint32) {})
	require.False(t, s.fallAsleep(&stop))
	stop.Store(1)
	require.True(t, s.fallAsleep(&stop))
	require.Zero(t, asleep()&1)
}

// Once a poller is up it says so, and nobody signals for nothing.
func TestGettingUp(t *testing.T) {
	p, bell := fakePoller(t)
	held, unwrap := holdable(t, p)
	defer unwrap()
	n, h := notifiers(t, p, 1)
	settle(t, p)
	release := held.hold()
	defer release()
	take(steps(p.set, h[0].index())[:4])
	require.NoError(t, bell.signal()) // by one that dies before it makes the number even
	wait(t, "the poller to be up", func() bool { return atomic.LoadUint32(&p.set.asleep)&1 == 0 })
	signals := bell.signals.Load()
	require.NoError(t, h[0].Notify())
	assert.Equal(t, signals, bell.signals.Load())
	release()
	receive(t, n[0])
}

// What is notified while a scan is under way is in that scan or in the next one.
// Here each notification comes in the middle of a delivery, when the levels
// above have been cleared: had they not, it would find them set and be lost.
func TestNotifyDuringScan(t *testing.T) {
	p := freshPoller(t)
	s := p.set
	admit := func(i uint32) Handle {
		s.mu.Lock()
		s.fresh = max(s.fresh, i)
		s.mu.Unlock()
		n := newNotifier(p)
		h, err := s.admit(n)
		require.NoError(t, err)
		require.Equal(t, i, h.index())
		return h
	}
	// Of the same leaf word; of the same mid word, top word, and of another.
	indexes := []uint32{0, 1, 2, 32, 64, 100, 1024, 2048, 1 << 15, 1<<15 + 1, 1 << 19, maxHandles - 1}
	var handles []Handle
	for _, i := range indexes {
		handles = append(handles, admit(i))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		due := map[uint32]int{}
		notify := func(h Handle) {
			require.NoError(t, s.notify(h))
			due[h.index()]++
		}
		for range 1 + random.IntN(3) {
			notify(handles[random.IntN(len(handles))])
		}
		deliver := func(again bool) func(uint32) {
			return func(i uint32) {
				require.True(t, s.clear(i))
				delete(due, i)
				if again {
					for range random.IntN(3) {
						notify(handles[random.IntN(len(handles))])
					}
				}
			}
		}
		s.scan(deliver(true))
		s.scan(deliver(false))
		require.Empty(t, due, "lost")
		require.Zero(t, atomic.LoadUint32(&s.root))
	}
}

// Each level is clear before the one below it is looked at.
func TestScanClearsFromTheTop(t *testing.T) {
	p := freshPoller(t)
	_, handles := notifiers(t, p, 1)
	s := p.set
	require.NoError(t, p.Close()) // now nobody else scans
	word, _ := position(handles[0].index())
	for range 10 {
		take(steps(s, handles[0].index())[:4])
		found := 0
		s.scan(func(i uint32) {
			found++
			assert.Equal(t, handles[0].index(), i)
			assert.Zero(t, atomic.LoadUint32(&s.root))
			assert.Zero(t, atomic.LoadUint32(&s.top[word>>10]))
			assert.Zero(t, atomic.LoadUint32(&s.mid[word>>5]))
			assert.True(t, s.clear(i), "the leaf bit is deliver's to clear")
		})
		require.Equal(t, 1, found)
	}
}

// A poller that found an index's former owner, and then is slow, does not take
// the new owner's notification for his.
func TestDeliverOfAFormerOwner(t *testing.T) {
	p := freshPoller(t)
	list, handles := notifiers(t, p, 1)
	former := list[0]
	require.NoError(t, former.Close())
	p.set.mu.Lock()
	p.set.fresh = maxHandles
	p.set.mu.Unlock()
	list, handles2 := notifiers(t, p, 1)
	require.Equal(t, handles[0].index(), handles2[0].index())
	settle(t, p)
	take(steps(p.set, handles2[0].index())[:1]) // by a notification of the new owner
	former.deliver()
	assert.Empty(t, former.ch)
	assert.True(t, isSet(list[0]))
	assert.False(t, former.absorb())
	assert.True(t, isSet(list[0]), "Clear of a closed notifier takes the new owner's")
	require.NoError(t, former.Close())
	assert.True(t, isSet(list[0]), "Close again takes the new owner's")
	require.NoError(t, handles2[0].Notify())
	receive(t, list[0])
}
