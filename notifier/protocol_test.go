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
	heldUp(t, n, func() {
		assert.Empty(t, n.C())
		assert.True(t, isSet(n), "the bit goes together with the token")
	}, func() { n.deliver(p.set, i) })
	require.Len(t, n.C(), 1)
	require.False(t, isSet(n))

	heldUp(t, n, func() { assert.Equal(t, open, n.state.Load()) }, func() { _ = n.Close() })
	require.Equal(t, closed, n.state.Load())
}

// A Notify that found the notifier open, and then waits for the lock while Close has
// it, puts no token in.
func TestNotifyIsHeldUpByClose(t *testing.T) {
	n, err := New()
	require.NoError(t, err)
	heldUp(t, n, func() { n.state.Store(closed) }, func() { assert.ErrorIs(t, n.Notify(), ErrClosed) })
	require.Empty(t, n.C())
}

// The poller puts no token in but for a bit that it finds set: one that Clear took
// meanwhile is covered.
func TestDeliverLooksAtTheBit(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 1)
	settle(t, p)
	sent, full := list[0].deliver(p.set, handles[0].index())
	assert.False(t, sent || full)
	require.Empty(t, list[0].C())
}

// ringHook is a doorbell that does something while it is rung.
type ringHook struct {
	doorbell
	during func()
}

func (b ringHook) ring() error {
	b.during()
	return b.doorbell.ring()
}

// Once somebody has rung nobody else does, until the poller is in bed again; and one
// who rang for an earlier night does not make the present one's number even.
func TestOneRingForANight(t *testing.T) {
	p := freshPoller(t) // it has not started
	s, bell := p.set, p.set.bell.(*fakeBell)
	h, err := s.admit(newNotifier(p, nil))
	require.NoError(t, err)
	var stop atomic.Uint32
	require.False(t, s.goToBed(&stop))
	for range 5 {
		require.NoError(t, h.Notify())
	}
	assert.EqualValues(t, 1, bell.rings.Load())

	s.scan(func(i uint32) { s.clear(i) })
	require.False(t, s.goToBed(&stop))
	s.bell = ringHook{bell, func() {
		s.bell = bell
		s.getUp()
		s.scan(func(i uint32) { s.clear(i) })
		require.False(t, s.goToBed(&stop))
	}}
	require.NoError(t, h.Notify())
	assert.EqualValues(t, 1, atomic.LoadUint32(&s.asleep)&1, "it was another night's ring")
	require.NoError(t, h.Notify())
	assert.EqualValues(t, 3, bell.rings.Load())
}

// The poller stores asleep and then looks at root; who notifies sets root and then
// looks at asleep. However they meet, one sees the other.
func TestBedOrRing(t *testing.T) {
	if runtime.GOOS == "wasip1" {
		t.Skip("there are no threads")
	}
	p := freshPoller(t) // it has not started
	s := p.set
	var gate, done, sawAwake atomic.Uint32
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
			raise(&s.root, 3)
			sawAwake.Store(atomic.LoadUint32(&s.asleep)&1 ^ 1)
			done.Store(round)
		}
	}()
	defer func() {
		gate.Store(end)
		<-ended
	}()
	var stop atomic.Uint32
	round, overlaps := uint32(0), 0
	for range testenv.Rounds(300_000) {
		round++
		s.getUp()
		atomic.StoreUint32(&s.root, 0)
		gate.Store(round)
		for i := uint32(0); i < round%256; i++ { // so that they meet at each place
			_ = gate.Load()
		}
		sleeps := !s.goToBed(&stop)
		spin(func() bool { return done.Load() == round })
		if sleeps && sawAwake.Load() == 1 {
			t.Fatalf("round %d: the poller sleeps, and nobody rings", round)
		}
		if sleeps {
			overlaps++
		}
	}
	t.Logf("of %d rounds the poller slept in %d", round, overlaps)
}

// A poller that has just been closed gives no handle to a notifier that it has not
// got to yet: nobody would serve it.
func TestClosedPollerAdmitsNobody(t *testing.T) {
	p, _ := fakePoller(t)
	require.NoError(t, p.Close())
	n := newNotifier(p, nil)
	defer n.Close()
	_, err := n.Handle()
	require.ErrorIs(t, err, ErrClosed)
	require.Nil(t, p.exited)
}
