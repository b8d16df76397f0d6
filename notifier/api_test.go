package notifier

// This file holds what each call answers, to wrong input too, and what a
// notifier costs. What the notifications do is in suite_test.go, what goes wrong
// below them in fault_test.go.

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

func TestNilAndZeroNotifier(t *testing.T) {
	for name, n := range map[string]*Notifier{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.PanicsWithValue(t, "notifier: C of a Notifier that was not made by New", func() { n.C() })
			assert.ErrorIs(t, n.Notify(), ErrClosed)
			assert.ErrorIs(t, n.Wait(t.Context()), ErrClosed)
			for range n.Wakes(t.Context()) {
				t.Error("woken")
			}
			assert.False(t, n.Clear())
			h, err := n.Handle()
			assert.ErrorIs(t, err, ErrClosed)
			assert.Zero(t, h)
			within(t, "Done", n.Done())
			assert.ErrorIs(t, n.Err(), ErrClosed)
			assert.NoError(t, n.Close())
			assert.Zero(t, n.Stats())
			assert.NotEmpty(t, n.String())
		})
	}
}

func TestNilAndZeroPoller(t *testing.T) {
	for name, p := range map[string]*Poller{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			n, err := p.New()
			assert.ErrorIs(t, err, ErrClosed)
			assert.Nil(t, n)
			assert.Zero(t, p.Stats())
			assert.NoError(t, p.Close())
		})
	}
}

// hooked is a context that does something when it is asked for its end.
type hooked struct {
	context.Context
	asked func()
}

func (c hooked) Done() <-chan struct{} {
	c.asked()
	return c.Context.Done()
}

// A token that comes together with Close is taken, whichever of the two Wait sees first:
// here both come when it has found neither.
func TestWaitSeesTokenAndCloseAtOnce(t *testing.T) {
	for range 100 {
		n := New()
		ctx := hooked{t.Context(), func() {
			_ = n.Notify()
			_ = n.Close()
		}}
		require.NoError(t, n.Wait(ctx))
		require.ErrorIs(t, n.Wait(ctx), ErrClosed)
	}
}

func TestErrClosedIsTheSystems(t *testing.T) {
	assert.ErrorIs(t, ErrClosed, os.ErrClosed)
	assert.EqualError(t, ErrClosed, "notifier: closed")
	n := New()
	require.NoError(t, n.Close())
	assert.ErrorIs(t, n.Notify(), os.ErrClosed)
}

func TestHandlesThatNameNothing(t *testing.T) {
	require.ErrorIs(t, Handle(0).Notify(), os.ErrInvalid)
	p, _ := fakePoller(t)
	n, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, n)
	require.ErrorIs(t, (h &^ generationMask).Notify(), os.ErrInvalid, "no notifier has generation 0")

	random := rand.New(rand.NewPCG(1, 2))
	for range testenv.Times(20_000) {
		other := Handle(random.Uint64())
		require.Error(t, other.Notify(), "%#x", other)

		// In the same block, where foreign code may follow it too.
		other = h&^(1<<(indexBits+generationBits)-1) | other&(1<<(indexBits+generationBits)-1)
		if other == h {
			continue
		}
		want := ErrClosed
		if other&1 == 0 {
			want = os.ErrInvalid
		}
		require.ErrorIs(t, other.Notify(), want, "%#x", other)
	}
	settle(t, p)
	require.Empty(t, n.C())
	require.NoError(t, h.Notify())
	receive(t, n)
}

func TestForeignHandlesThatNameNothing(t *testing.T) {
	if !foreign.Available {
		testenv.Missing(t, "cgo", "built without")
	}
	assert.Equal(t, foreign.Results{Invalid: 1}, foreign.Notify(0))
	for _, backend := range Backends() {
		p := newPoller(t, WithBackend(backend))
		n, err := p.New()
		require.NoError(t, err)
		h := handleOf(t, n)
		assert.Equal(t, foreign.Results{Invalid: 1}, foreign.Notify(uint64(h&^generationMask)))
		random := rand.New(rand.NewPCG(1, 2))
		for range testenv.Times(20_000) {
			other := h&^(1<<(indexBits+generationBits)-1) | Handle(random.Uint64()>>(64-indexBits-generationBits))
			if other == h {
				continue
			}
			want := foreign.Results{Closed: 1}
			if other&1 == 0 {
				want = foreign.Results{Invalid: 1}
			}
			require.Equal(t, want, foreign.Notify(uint64(other)), "%#x", other)
		}
		settle(t, p)
		require.Empty(t, n.C())
		require.NoError(t, errorOf(foreign.Notify(uint64(h))))
		receive(t, n)
	}
}

func TestHandleIsAlwaysTheSame(t *testing.T) {
	p, _ := fakePoller(t)
	a, err := p.New()
	require.NoError(t, err)
	b, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, a)
	for range 3 {
		assert.Equal(t, h, handleOf(t, a))
	}
	assert.NotEqual(t, h, handleOf(t, b))
	assert.NotZero(t, h)
}

// The first handle of all starts the poller; Close ends it.
func TestPollerStartsWithTheFirstHandle(t *testing.T) {
	p, _ := fakePoller(t)
	n, err := p.New()
	require.NoError(t, err)
	require.NoError(t, n.Notify())
	require.NoError(t, n.Wait(t.Context()))
	assert.Nil(t, p.exited)
	handleOf(t, n)
	require.NotNil(t, p.exited)
	select {
	case <-p.exited:
		t.Fatal("ended")
	default:
	}
	require.NoError(t, p.Close())
	within(t, "the poller's goroutine to end", p.exited)
}

// A notifier that never gives out a handle starts no poller, maps no memory and
// makes no descriptor.
func TestWithoutHandleThereIsNothing(t *testing.T) {
	count := func() int {
		return len(knownSets())
	}
	process.mu.Lock()
	standing := process.p
	process.mu.Unlock()
	mapped, goroutines, descriptors := count(), runtime.NumGoroutine(), openDescriptors()
	for range 100 {
		n := New()
		require.NoError(t, n.Notify())
		require.NoError(t, n.Wait(t.Context()))
		require.NoError(t, n.Notify())
		require.True(t, n.Clear())
		n.Done()
		require.NoError(t, n.Err())
		_ = n.Stats()
		defer n.Close()
	}
	assert.Equal(t, mapped, count())
	// Some of an earlier test may just be ending; the runtime's own come and go.
	wait(t, "no goroutine more", func() bool { return runtime.NumGoroutine() <= goroutines })
	for fd, file := range openDescriptors() {
		assert.Equal(t, descriptors[fd], file, "descriptor %d", fd)
	}
	process.mu.Lock()
	assert.Same(t, standing, process.p)
	process.mu.Unlock()
}

func TestDefaultPoller(t *testing.T) {
	if len(Backends()) == 0 {
		n := New()
		defer n.Close()
		_, err := n.Handle()
		require.ErrorIs(t, err, errUnsupported)
		require.NoError(t, n.Notify())
		receive(t, n)
		return
	}
	var all []*Notifier
	for range 3 {
		n := New()
		defer n.Close()
		require.NoError(t, handleOf(t, n).Notify())
		receive(t, n)
		all = append(all, n)
	}
	assert.Same(t, all[0].poller, all[2].poller)
	assert.Equal(t, Backends()[0], all[0].poller.Stats().Backend)
	assert.GreaterOrEqual(t, all[0].poller.Stats().Handles, 3)
}

func TestStats(t *testing.T) {
	p, bell := fakePoller(t)
	assert.Equal(t, PollerStats{Backend: "fake"}, p.Stats())
	n, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, n)
	settle(t, p)
	assert.Equal(t, 1, p.Stats().Handles)

	require.NoError(t, h.Notify())
	settle(t, p)
	assert.Equal(t, Stats{Delivered: 1}, n.Stats())
	require.NoError(t, h.Notify())
	settle(t, p)
	assert.Equal(t, Stats{Delivered: 1, Coalesced: 1}, n.Stats())
	require.NoError(t, n.Notify(), "sees the token: not counted")
	assert.Equal(t, Stats{Delivered: 1, Coalesced: 1}, n.Stats())
	n.Clear()
	require.NoError(t, n.Notify())
	assert.Equal(t, Stats{Delivered: 2, Coalesced: 1}, n.Stats())

	stats := p.Stats()
	assert.Equal(t, uint64(1), stats.Delivered)
	assert.Equal(t, uint64(1), stats.Coalesced)
	assert.GreaterOrEqual(t, stats.Scans, uint64(2))
	assert.GreaterOrEqual(t, stats.Wakeups, uint64(1))
	assert.LessOrEqual(t, int64(1), bell.signals.Load())

	require.NoError(t, n.Close())
	assert.Zero(t, p.Stats().Handles)
	assert.Equal(t, Stats{Delivered: 2, Coalesced: 1}, n.Stats(), "counts outlive Close")
}

// A redundant notification makes no system call.
func TestRedundantNotifyDoesNotRing(t *testing.T) {
	p, bell := fakePoller(t)
	held, unwrap := holdable(t, p)
	defer unwrap()
	n, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, n)
	settle(t, p)

	// While it is held the poller cannot fall asleep again. One signal wakes it, and
	// one more may come while it arms for its look.
	release := held.hold()
	defer release()
	for range 1000 {
		require.NoError(t, h.Notify())
	}
	signals := bell.signals.Load()
	release()
	assert.Contains(t, []int64{1, 2}, signals)
	receive(t, n)
}

// The memory and the doorbell of a closed poller serve the next one, and late
// handles of the former do not reach the latter's notifiers.
func TestClosedPollersSetServesTheNext(t *testing.T) {
	for _, backend := range Backends() {
		first := newPoller(t, WithBackend(backend))
		var late []Handle
		for range 50 {
			n, err := first.New()
			require.NoError(t, err)
			late = append(late, handleOf(t, n))
		}
		require.NoError(t, late[0].Notify())
		require.NoError(t, first.Close())
		mapped := len(knownSets())

		second := newPoller(t, WithBackend(backend))
		assert.Same(t, first.set, second.set)
		assert.Equal(t, mapped, len(knownSets()))
		n, err := second.New()
		require.NoError(t, err)
		h := handleOf(t, n)
		assert.False(t, slices.Contains(late, h))
		for _, l := range late {
			require.ErrorIs(t, l.Notify(), ErrClosed)
			if foreign.Available {
				require.Equal(t, foreign.Results{Closed: 1}, foreign.Notify(uint64(l)))
			}
		}
		settle(t, second)
		require.Empty(t, n.C())
		require.NoError(t, h.Notify())
		receive(t, n)
		assert.Zero(t, first.Stats().Handles, "those of its successor")
		assert.Equal(t, 1, second.Stats().Handles)
		require.NoError(t, first.Close(), "again, which must not end its successor")
		require.NoError(t, h.Notify())
		receive(t, n)
		require.NoError(t, second.Close())
	}
}

// One that never started can be closed and handed on as well.
func TestPollerThatNeverStarted(t *testing.T) {
	for _, backend := range Backends() {
		p := newPoller(t, WithBackend(backend))
		n, err := p.New()
		require.NoError(t, err)
		require.NoError(t, p.Close())
		require.ErrorIs(t, n.Notify(), ErrClosed)

		p = newPoller(t, WithBackend(backend))
		n, err = p.New()
		require.NoError(t, err)
		require.NoError(t, handleOf(t, n).Notify())
		receive(t, n)
	}
}

// Lingering is a matter of speed: every ceiling keeps every promise.
func TestLinger(t *testing.T) {
	for _, backend := range Backends() {
		none := newPoller(t, WithBackend(backend), WithLinger(-1))
		n, err := none.New()
		require.NoError(t, err)
		h := handleOf(t, n)
		for range testenv.Times(2000) {
			require.NoError(t, h.Notify())
			receive(t, n)
			require.Zero(t, none.Stats().Linger)
		}

		if backend == "loop" {
			continue // without threads there is nobody to linger for
		}
		// Under a ceiling that nobody outwaits it grows as far as that.
		long := newPoller(t, WithBackend(backend), WithLinger(1<<40))
		n, err = long.New()
		require.NoError(t, err)
		h = handleOf(t, n)
		for range 3 {
			wait(t, "the poller to be asleep, or to linger", func() bool {
				return atomic.LoadUint32(&long.set.asleep)&1 == 1 || long.Stats().Linger > 0
			})
			require.NoError(t, h.Notify())
			receive(t, n)
		}
		wait(t, "the poller to linger", func() bool { return long.Stats().Linger >= firstWindow })
		require.NoError(t, long.Close(), "does not wait for the window")
	}
}

// size is what a notifier takes, its channel and its part of the poller's books
// included.
func size(t *testing.T, count int, create func() *Notifier) float64 {
	t.Helper()
	list := make([]*Notifier, count)
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC() // what the first has found is freed at the latest now
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range list {
		list[i] = create()
	}
	after := heap()
	for _, n := range list {
		_ = n.Close()
	}
	return float64(int64(after-before)) / float64(count)
}

// smallest is the least of three sizes: others allocate too.
func smallest(t *testing.T, count int, create func() *Notifier) float64 {
	t.Helper()
	return min(size(t, count, create), size(t, count, create), size(t, count, create))
}

func TestSizeOfANotifier(t *testing.T) {
	const limit, more = 205, 112 // what the documents say, on 64 bits
	count := testenv.Times(100_000)
	alone := smallest(t, count, func() *Notifier {
		n := New()
		return n
	})
	assert.LessOrEqual(t, alone, float64(limit), "without a poller")
	t.Logf("%.0f bytes without a poller", alone)

	p, _ := fakePoller(t)
	member := smallest(t, count, func() *Notifier {
		n, _ := p.New()
		return n
	})
	assert.LessOrEqual(t, member, float64(limit), "of a poller, without a handle")
	with := smallest(t, count, func() *Notifier {
		n, _ := p.New()
		_, _ = n.Handle()
		return n
	})
	assert.LessOrEqual(t, with, float64(limit), "of a poller, with a handle")
	done := smallest(t, count, func() *Notifier {
		n, _ := p.New()
		_, _ = n.Handle()
		_ = n.Done()
		return n
	})
	assert.LessOrEqual(t, done, float64(limit+more), "with a handle, after Done or a Wait that blocked")
	t.Logf("%.0f bytes with a poller, %.0f with a handle, %.0f after Done", member, with, done)
}

func TestNotifyAllocatesNothing(t *testing.T) {
	p, _ := fakePoller(t)
	n, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, n)
	ctx := t.Context()
	for name, f := range map[string]func(){
		"Notify, pending":        func() { _ = n.Notify() },
		"Notify and Clear":       func() { _ = n.Notify(); n.Clear() },
		"Notify and Wait":        func() { _ = n.Notify(); _ = n.Wait(ctx) },
		"Handle.Notify":          func() { _ = h.Notify() },
		"Handle.Notify to Clear": func() { _ = h.Notify(); n.Clear() },
	} {
		settle(t, p)
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

func TestString(t *testing.T) {
	n := New()
	defer n.Close()
	assert.Equal(t, "Notifier(0x0)", n.String())
	assert.Equal(t, "Notifier(nil)", (*Notifier)(nil).String())
}
