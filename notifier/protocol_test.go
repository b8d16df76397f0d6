package notifier

// This file holds the steps whose order, or whose lock, nothing but chance would show
// to be missing in a test of the whole: each is held up in the middle, or met head on.
// verify/mutate has what they catch.

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// heldUp runs f in a goroutine while n's lock is held, does what is to be done when f
// waits for it, and returns when f has ended. It ends the test if f takes no lock.
func heldUp(t *testing.T, n *Notifier, meanwhile, f func()) {
	t.Helper()
	release := locked(n)
	defer release()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	wait(t, "the goroutine to wait for the lock", func() bool {
		select {
		case <-done:
			t.Fatal("it took no lock")
		default:
		}
		for _, stack := range goroutines() {
			head, _, _ := strings.Cut(stack, "\n")
			if strings.Contains(stack, "notifier.heldUp.func") && strings.Contains(head, "Mutex.Lock") {
				return true
			}
		}
		return false
	})
	meanwhile()
	release()
	within(t, "the goroutine to end", done)
}

// Notify, the poller, Clear and Close change a notifier under its lock only.
func TestEachTakesTheLock(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	n, i := list[0], handles[0].index()
	settle(t, p)
	nothing := func() {}
	heldUp(t, n, nothing, func() { _ = n.Notify() })
	require.Len(t, n.C(), 1)

	take(steps(p.set, i)[:1])
	heldUp(t, n, func() {
		assert.Len(t, n.C(), 1)
		assert.True(t, isSet(n))
	}, func() { n.Clear() })
	require.Empty(t, n.C())
	require.False(t, isSet(n))

	take(steps(p.set, i)[:1])
	n.mu.Lock()
	n.deliver() // does not wait
	assert.Empty(t, n.C())
	assert.True(t, isSet(n), "the bit goes together with the token")
	n.unlock()
	require.Len(t, n.C(), 1, "who had the lock delivers")
	require.False(t, isSet(n))
	require.Zero(t, n.owed.Load())

	heldUp(t, n, func() { assert.Equal(t, open, n.state.Load()) }, func() { _ = n.Close() })
	require.Equal(t, closed, n.state.Load())
}

// A Notify that found the notifier open, and then waits for the lock while Close has
// it, puts no token in.
func TestNotifyIsHeldUpByClose(t *testing.T) {
	n := New()
	heldUp(t, n, func() { n.state.Store(closed) }, func() { assert.ErrorIs(t, n.Notify(), ErrClosed) })
	require.Empty(t, n.C())
}

// The poller puts no token in but for a bit that it finds set: one that Clear took
// meanwhile is covered.
func TestDeliverLooksAtTheBit(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	settle(t, p)
	require.False(t, isSet(list[0]), handles)
	list[0].deliver()
	require.Empty(t, list[0].C())
}

// The poller waits for nobody's lock: while one notifier's is taken, and the set's, all
// others are served; and that one by whoever gives its lock back.
func TestPollerWaitsForNobody(t *testing.T) {
	for _, backend := range Backends() {
		p := newPoller(t, WithBackend(backend))
		list, handles := notifiers(t, p, 2)
		for range 100 {
			list[0].mu.Lock()
			require.NoError(t, handles[0].Notify())
			require.NoError(t, handles[1].Notify())
			receive(t, list[1])
			require.Empty(t, list[0].C())
			list[0].unlock()
			receive(t, list[0])
		}
		settle(t, p)
		p.set.mu.Lock()
		orphan := indexAt(77, 7)
		take(steps(p.set, orphan))
		require.NoError(t, handles[1].Notify())
		receive(t, list[1])
		p.set.mu.Unlock()
		p.set.dropOrphan(orphan)
		require.Zero(t, atomic.LoadUint32(&p.set.leaf[77]))
	}
}

// Of the poller, who finds the lock taken, and the one who gives it back, one delivers.
func TestDeliverAgainstUnlock(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	n := list[0]
	settle(t, p)
	bit := steps(p.set, handles[0].index())[0]
	duel(t, bit, n.deliver, func() { n.mu.Lock(); n.unlock() }, func(round uint32) {
		if len(n.ch) != 1 || isSet(n) {
			t.Fatalf("round %d: nobody delivered", round)
		}
		<-n.ch
	})
}

// ringHook is a doorbell that does something while it is signalled.
type ringHook struct {
	doorbell
	during func()
}

func (b ringHook) signal() error {
	b.during()
	return b.doorbell.signal()
}

// Once somebody has signalled nobody else does, until the poller is asleep again; and one
// who signalled for an earlier epoch does not make the present one's number even.
func TestOneSignalAnEpoch(t *testing.T) {
	p := freshPoller(t) // it has not started
	s, bell := p.set, p.set.bell.(*fakeBell)
	h, err := s.admit(newNotifier(p))
	require.NoError(t, err)
	var stop atomic.Uint32
	require.False(t, s.fallAsleep(&stop))
	for range 5 {
		require.NoError(t, h.Notify())
	}
	assert.EqualValues(t, 1, bell.signals.Load())

	s.scan(func(i uint32) { s.clear(i) })
	require.False(t, s.fallAsleep(&stop))
	s.bell = ringHook{bell, func() {
		s.bell = bell
		s.wakeUp()
		s.scan(func(i uint32) { s.clear(i) })
		require.False(t, s.fallAsleep(&stop))
	}}
	require.NoError(t, h.Notify())
	assert.EqualValues(t, 1, atomic.LoadUint32(&s.asleep)&1, "it was another epoch's signal")
	require.NoError(t, h.Notify())
	assert.EqualValues(t, 3, bell.signals.Load())
}

// duel lets two functions meet, again and again and each time at another place, and
// calls after when both have ended.
func duel(t *testing.T, before, one, other func(), after func(round uint32)) {
	t.Helper()
	if runtime.GOOS == "wasip1" || runtime.GOOS == "js" {
		t.Skip("there are no threads")
	}
	if testenv.WeakEmulator() {
		t.Skip("the emulator has not the processor's order of memory")
	}
	var gate, done atomic.Uint32
	const end = ^uint32(0)
	spin := func(condition func() bool) {
		for i := 1; !condition(); i++ {
			if i%256 == 0 {
				runtime.Gosched()
			}
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for round := uint32(1); ; round++ {
			spin(func() bool { return gate.Load() >= round })
			if gate.Load() == end {
				return
			}
			other()
			done.Store(round)
		}
	}()
	defer func() {
		gate.Store(end)
		<-ended
	}()
	round := uint32(0)
	for range testenv.Repeats(300_000) {
		round++
		before()
		gate.Store(round)
		for i := uint32(0); i < round%256; i++ {
			_ = gate.Load()
		}
		one()
		spin(func() bool { return done.Load() == round })
		after(round)
	}
}

// The poller stores asleep and then looks at root; who notifies sets root and then
// looks at asleep. However they meet, one sees the other.
func TestAsleepOrSignalled(t *testing.T) {
	s := freshPoller(t).set // its poller has not started
	var stop atomic.Uint32
	var sleeps, signals bool
	duel(t, func() {
		s.wakeUp()
		atomic.StoreUint32(&s.root, 0)
	}, func() {
		sleeps = !s.fallAsleep(&stop)
	}, func() {
		raise(&s.root, 3)
		signals = atomic.LoadUint32(&s.asleep)&1 == 1
	}, func(round uint32) {
		if sleeps && !signals {
			t.Fatalf("round %d: the poller sleeps, and nobody signals", round)
		}
	})
}

// A bit that is set while a scan takes its word is taken with it, or stays.
func TestScanTakesWhatItClears(t *testing.T) {
	p := freshPoller(t)
	s := p.set // its poller has not started
	var stop atomic.Uint32
	require.True(t, !s.fallAsleep(&stop))
	s.wakeUp()
	var handles []Handle
	for range 65 { // the last has a bit of root to itself
		h, err := s.admit(newNotifier(p))
		require.NoError(t, err)
		handles = append(handles, h)
	}
	one, other := handles[0], handles[64]
	found := 0
	scan := func() { s.scan(func(i uint32) { s.clear(i); found++ }) }
	duel(t, func() {
		found = 0
		_ = s.notify(one)
	}, scan, func() {
		_ = s.notify(other)
	}, func(round uint32) {
		scan()
		if found != 2 {
			t.Fatalf("round %d: %d of 2 found", round, found)
		}
	})
}

// Of the poller and Clear one takes the bit; when both have ended nothing is left of
// what was notified before.
func TestDeliverAgainstClear(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	n := list[0]
	settle(t, p)
	bit := steps(p.set, handles[0].index())[0]
	duel(t, bit, n.deliver, func() { n.Clear() }, func(round uint32) {
		if len(n.C()) != 0 || isSet(n) {
			t.Fatalf("round %d: a token after Clear", round)
		}
	})
}

// A poller that has just been closed gives no handle to a notifier that it has not
// got to yet: nobody would serve it.
func TestClosedPollerAdmitsNobody(t *testing.T) {
	p, _ := fakePoller(t)
	require.NoError(t, p.Close())
	n := newNotifier(p)
	defer n.Close()
	_, err := n.Handle()
	require.ErrorIs(t, err, ErrClosed)
	require.Nil(t, p.exited)
}

// A Wait that blocked takes what was notified until it returns, like one that did not:
// here a ready bit that comes together with its token.
func TestWaitThatBlockedCoversAll(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	n := list[0]
	settle(t, p)
	done := make(chan error)
	go func() { done <- n.Wait(t.Context()) }()
	wait(t, "Wait to block", func() bool {
		for _, stack := range goroutines() {
			head, _, _ := strings.Cut(stack, "\n")
			if strings.Contains(head, "[select") && strings.Contains(stack, "(*Notifier).Wait(") {
				return true
			}
		}
		return false
	})
	take(steps(p.set, handles[0].index())[:1])
	require.NoError(t, n.Notify())
	require.NoError(t, within(t, "Wait to return", done))
	require.False(t, isSet(n))
	require.Empty(t, n.C())
}
