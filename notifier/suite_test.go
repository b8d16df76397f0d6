package notifier

// This file holds the conformance suite: what must hold whatever the doorbell
// and whoever notifies. Each case is named after where it comes from, and is
// written anew for Go. What many threads at once may break is in stress_test.go.

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestSuite(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { everywhere(t, c.run) })
	}
}

var cases = []struct {
	name string
	run  func(t *testing.T, s *scene)
}{
	{"libxev/async", oneWakes},
	{"libxev/async_notify_first", earlyIsKept},
	{"libxev/async_batches_multiple_notifications", batching},
	{"libxev/disarm_notify_wait_again", disarm},
	{"libuv/async", handOver},
	{"libuv/async1", echo(1)},
	{"libuv/async2", echo(2)},
	{"libuv/async4", echo(4)},
	{"libuv/async8", echo(8)},
	{"libuv/2226_notify_against_close", notifyAgainstClose},
	{"mio/waker_multiple_wakeups_different_thread", wakeConsumeWake},
	{"polling/notify_concurrent", notifyWhileWaiting},
	{"polling/post_multithread", spacedPosts},
	{"go/TestNetpollBreak", breaks},
	{"gvisor/TestWait", silenceThenWake},
	{"strict/Wait", strictWait},
	{"strict/Clear", strictClear},
	{"strict/Wakes", strictWakes},
	{"several_waiters", severalWaiters},
	{"done_context", doneContext},
	{"close/token_stays", closeKeepsToken},
	{"close/drops_ready_bit", closeDropsBit},
	{"close/for_ever", closeForEver},
	{"close/wakes_waiters", closeWakesWaiters},
	{"close/poller", closePoller},
	{"order/atomics_with_C", orderOfAtomics},
	{"order/plain_memory_with_Wait", orderOfPlainMemory},
	{"neighbours", neighbours},
}

// One notification wakes once, and then it is quiet.
func oneWakes(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	for range 5 {
		require.NoError(t, notify())
		receive(t, n)
		s.quiet(t, n)
	}
}

// A notification long before the wait is kept.
func earlyIsKept(t *testing.T, s *scene) {
	n := s.notifier(t)
	require.NoError(t, s.way.bind(t, n)())
	for range 3 {
		s.settle(t)
	}
	require.NoError(t, n.Wait(t.Context()))
	s.quiet(t, n)
}

// 5 notifications before and 1 after the wait began: exactly 1 wake-up.
func batching(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	for range 5 {
		require.NoError(t, notify())
	}
	s.settle(t)
	require.NoError(t, notify())
	receive(t, n)
	// The sixth may be on its way if it set the bit anew: it goes into this one.
	n.Clear()
	for range 10 {
		s.quiet(t, n)
	}

	for range 6 {
		require.NoError(t, notify())
	}
	s.settle(t)
	receive(t, n) // once things are quiet one token stands for all, without Clear
	for range 10 {
		s.quiet(t, n)
	}
}

// What is notified between two waits is not lost, and later waits are not woken
// for nothing.
func disarm(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	for range 3 {
		require.NoError(t, notify())
		for range n.Wakes(t.Context()) {
			break
		}
		require.NoError(t, notify())
		wakeups := 0
		for range n.Wakes(t.Context()) {
			wakeups++
			break
		}
		require.Equal(t, 1, wakeups)
		s.quiet(t, n)
	}
}

// Exactly 3 wake-ups by hand-over; then the receiver closes while the sender is
// still at it.
func handOver(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	turn := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		for range turn {
			if err := notify(); err != nil {
				ended <- err
				return
			}
		}
		for {
			if err := notify(); err != nil {
				ended <- err
				return
			}
			runtime.Gosched() // nobody is preempted on wasm
		}
	}()
	for range 3 {
		turn <- struct{}{}
		receive(t, n)
		s.quiet(t, n)
	}
	close(turn)
	receive(t, n)
	require.NoError(t, n.Close())
	require.ErrorIs(t, within(t, "the sender to see the end", ended), ErrClosed)
}

// echo has k senders; each sends numbers and waits for them to come back. What
// was sent is what was seen, both ways.
func echo(k int) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		rounds := uint64(testenv.Times(4000/k) + 5)
		n := s.notifier(t)
		type sender struct {
			sent, echoed atomic.Uint64
			back         *Notifier
		}
		senders := make([]*sender, k)
		var all sync.WaitGroup
		for i := range senders {
			back := New()
			t.Cleanup(func() { _ = back.Close() })
			senders[i] = &sender{back: back}
			notify := s.way.bind(t, n)
			all.Go(func() {
				self := senders[i]
				for number := range rounds {
					self.sent.Add(1)
					if err := notify(); err != nil {
						t.Error(err)
						return
					}
					for self.echoed.Load() <= number {
						if back.Wait(t.Context()) != nil {
							t.Errorf("sender %d: the end came before the echo of %d", i, number)
							return
						}
					}
				}
			})
		}
		for done := 0; done < k; {
			receive(t, n)
			done = 0
			for _, self := range senders {
				if sent := self.sent.Load(); self.echoed.Swap(sent) != sent {
					require.NoError(t, self.back.Notify())
				}
				if self.echoed.Load() == rounds {
					done++
				}
			}
		}
		all.Wait()
		for i, self := range senders {
			assert.Equal(t, rounds, self.echoed.Load(), "sender %d", i)
		}
	}
}

// Notifications race with Close, from several threads, and come after it.
func notifyAgainstClose(t *testing.T, s *scene) {
	for range testenv.Times(50) + 2 {
		n := s.notifier(t)
		var all sync.WaitGroup
		begin := make(chan struct{})
		const senders = 4
		var first sync.WaitGroup
		first.Add(senders)
		for range senders {
			notify := s.way.bind(t, n)
			all.Go(func() {
				<-begin
				for i := 0; ; i++ {
					err := notify()
					if i == 0 {
						first.Done()
					}
					if err != nil {
						assert.ErrorIs(t, err, ErrClosed)
						break
					}
					if i%16 == 15 {
						runtime.Gosched() // so that whoever closes gets a turn
					}
				}
				for range 3 {
					assert.ErrorIs(t, notify(), ErrClosed)
				}
			})
		}
		close(begin)
		first.Wait()
		require.NoError(t, n.Close())
		had := n.Clear()
		all.Wait()
		s.settle(t)
		require.Empty(t, n.C(), "a token was put in after Close (there was one before: %v)", had)
	}
}

// Wake, consume, wake: a second one comes, and then none.
func wakeConsumeWake(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	consumed := make(chan struct{})
	sent := make(chan error, 2)
	go func() {
		sent <- notify()
		<-consumed
		sent <- notify()
	}()
	receive(t, n)
	require.NoError(t, within(t, "the first notify", sent))
	s.quiet(t, n)
	close(consumed)
	receive(t, n)
	require.NoError(t, within(t, "the second notify", sent))
	s.quiet(t, n)
}

// A wait that has begun ends when somebody notifies.
func notifyWhileWaiting(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	waiting := make(chan struct{})
	result := make(chan error)
	go func() {
		for range waiting {
			result <- n.Wait(t.Context())
		}
	}()
	defer close(waiting)
	for range testenv.Times(100) + 3 {
		waiting <- struct{}{}
		require.NoError(t, notify())
		require.NoError(t, within(t, "Wait", result))
	}
	s.quiet(t, n)
}

// Notifications that are spaced arrive one by one.
func spacedPosts(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	for range testenv.Times(100) + 3 {
		require.NoError(t, notify())
		receive(t, n)
		s.settle(t)
	}
	s.quiet(t, n)
	assert.Equal(t, uint64(testenv.Times(100)+3), n.Stats().Delivered)
}

// A wait that is broken into ends, again and again: a wake-up may be eaten once
// in many.
func breaks(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	times := testenv.Times(10_000) + 10
	if s.poller != nil && s.poller.backend == "iocp" {
		times /= 10
	}
	woken := make(chan error)
	go func() {
		for range times {
			woken <- n.Wait(t.Context())
		}
	}()
	for range times {
		require.NoError(t, notify())
		require.NoError(t, within(t, "a wake-up", woken))
	}
}

// Silence, and then a wake-up.
func silenceThenWake(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	woken := make(chan error, 1)
	go func() { woken <- n.Wait(t.Context()) }()
	if n.handle != 0 {
		s.settle(t)
	}
	select {
	case err := <-woken:
		t.Fatal("woken by nobody: ", err)
	default:
	}
	require.NoError(t, notify())
	require.NoError(t, within(t, "a wake-up", woken))
	s.quiet(t, n)
}

// Wait covers all that had returned, without "once things are quiet".
func strictWait(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	for range testenv.Times(200) + 5 {
		for range 3 {
			require.NoError(t, notify())
		}
		require.NoError(t, n.Wait(t.Context()))
		s.quiet(t, n)
	}
}

// So does Clear, and it says whether there was anything.
func strictClear(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	assert.False(t, n.Clear())
	for i := range testenv.Times(200) + 5 {
		for range 3 {
			require.NoError(t, notify())
		}
		if i%2 == 0 {
			s.settle(t)
		}
		require.True(t, n.Clear())
		require.False(t, n.Clear())
		s.quiet(t, n)
	}
}

func strictWakes(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, notify())
	rounds := 0
	for range n.Wakes(ctx) {
		s.quiet(t, n)
		if rounds++; rounds == 5 {
			cancel()
			break
		}
		for range 3 {
			require.NoError(t, notify())
		}
	}
	assert.Equal(t, 5, rounds)
	for range n.Wakes(ctx) {
		t.Fatal("the context is done and nothing was notified")
	}
	require.NoError(t, notify())
	s.settle(t)
	for range n.Wakes(ctx) { // a token that is there is taken whatever else is true
		rounds++
	}
	assert.Equal(t, 6, rounds)
	_ = n.Close()
	for range n.Wakes(t.Context()) {
		t.Fatal("closed")
	}
}

// A token wakes one of several, and each notification that follows a wake-up
// another.
func severalWaiters(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	const waiters = 4
	woken := make(chan error, waiters)
	for range waiters {
		go func() { woken <- n.Wait(t.Context()) }()
	}
	for range waiters {
		require.NoError(t, notify())
		require.NoError(t, within(t, "a waiter", woken))
		s.settle(t)
		require.Empty(t, woken, "one token woke two")
	}
	s.quiet(t, n)
}

func doneContext(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	cause := errors.New("this is why")
	ctx, end := context.WithCancelCause(t.Context())
	end(cause)
	assert.ErrorIs(t, n.Wait(ctx), cause)
	require.NoError(t, notify())
	s.settle(t)
	for range 20 {
		require.NoError(t, n.Wait(ctx), "a token that is there is taken whatever else is true")
		assert.ErrorIs(t, n.Wait(ctx), cause)
		require.NoError(t, notify())
		s.settle(t)
	}
	n.Clear()

	// A wait that ends by its context takes nothing with it.
	ctx, end = context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Wait(ctx) }()
	end(cause)
	require.ErrorIs(t, within(t, "Wait to end", ended), cause)
	require.NoError(t, notify())
	receive(t, n)
	s.quiet(t, n)
}

// A token that was there at Close can still be read; after it there is none.
func closeKeepsToken(t *testing.T, s *scene) {
	for _, take := range []func(n *Notifier) bool{
		func(n *Notifier) bool { return n.Wait(t.Context()) == nil },
		func(n *Notifier) bool { return n.Clear() },
		func(n *Notifier) bool {
			select {
			case <-n.C():
				return true
			default:
				return false
			}
		},
	} {
		n := s.notifier(t)
		notify := s.way.bind(t, n)
		require.NoError(t, notify())
		s.settle(t)
		require.NoError(t, n.Close())
		require.ErrorIs(t, notify(), ErrClosed)
		require.True(t, take(n))
		require.False(t, take(n))
		require.ErrorIs(t, n.Wait(t.Context()), ErrClosed)
		s.settle(t)
		require.Empty(t, n.C())
	}
}

// Close before the poller has looked: nothing comes any more, and the next owner
// of the index is not woken by it.
func closeDropsBit(t *testing.T, s *scene) {
	if s.poller == nil {
		t.Skip("no ready bit")
	}
	for range 20 {
		n := s.notifier(t)
		require.NoError(t, s.way.bind(t, n)())
		require.NoError(t, n.Close())
		had := len(n.C())
		require.False(t, isSet(n))
		s.settle(t)
		require.Len(t, n.C(), had)
	}
}

func closeForEver(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	require.NoError(t, n.Err())
	done := n.Done()
	select {
	case <-done:
		t.Fatal("done while open")
	default:
	}
	for range 3 {
		require.NoError(t, n.Close())
		within(t, "Done", done)
		require.ErrorIs(t, n.Err(), ErrClosed)
	}
	// Others get the index meanwhile, after a good many.
	for range minFreed/8 + 2 {
		other := s.notifier(t)
		require.ErrorIs(t, notify(), ErrClosed)
		require.NoError(t, other.Close())
		require.Empty(t, other.C())
	}
	s.settle(t)
	require.Empty(t, n.C())
}

func closeWakesWaiters(t *testing.T, s *scene) {
	n := s.notifier(t)
	_ = s.way.bind(t, n)
	const waiters = 8
	woken := make(chan error, 2*waiters)
	for range waiters {
		go func() { woken <- n.Wait(context.Background()) }()
		go func() {
			for range n.Wakes(context.Background()) {
			}
			woken <- n.Err()
		}()
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { _ = n.Close() })
	}
	all.Wait()
	for range 2 * waiters {
		require.ErrorIs(t, within(t, "a waiter", woken), ErrClosed)
	}
}

// Poller.Close closes its notifiers, with a handle and without.
func closePoller(t *testing.T, s *scene) {
	if s.poller == nil {
		t.Skip("no poller")
	}
	with := s.notifier(t)
	notify := s.way.bind(t, with)
	without, err := s.poller.New()
	require.NoError(t, err)
	require.NoError(t, notify())
	s.settle(t)
	require.NoError(t, s.poller.Close())
	require.NoError(t, s.poller.Close())
	for _, n := range []*Notifier{with, without} {
		require.ErrorIs(t, n.Err(), ErrClosed)
		within(t, "Done", n.Done())
		require.ErrorIs(t, n.Notify(), ErrClosed)
		_, err := n.Handle()
		require.ErrorIs(t, err, ErrClosed)
		require.NoError(t, n.Close())
	}
	require.NoError(t, with.Wait(t.Context()), "its token is still there")
	require.ErrorIs(t, notify(), ErrClosed)
	_, err = s.poller.New()
	require.ErrorIs(t, err, ErrClosed)
	assert.Zero(t, s.poller.Stats().Handles)
}

// With C, data behind atomics is seen: a receiver that has the token of a
// notification sees what was written before it.
func orderOfAtomics(t *testing.T, s *scene) {
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	last := uint64(testenv.Times(5000) + 10)
	var data atomic.Uint64
	sent := make(chan error, 1)
	go func() {
		for i := uint64(1); i <= last; i++ {
			data.Store(i)
			if err := notify(); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for data.Load() != last {
		receive(t, n) // each notification is followed by one: so also the last
	}
	require.NoError(t, within(t, "the sender", sent))
}

// With Wait plain memory is seen too, also what was written before a notification
// that found the token there. The race detector is the judge of it, so the receiver
// learns that the sender is ready in a way that it does not see: by a word outside
// the Go heap.
func orderOfPlainMemory(t *testing.T, s *scene) {
	if s.way.name == byThread.name && testenv.Race {
		t.Skip("the race detector does not see what C orders")
	}
	p, _ := fakePoller(t)
	hidden := (*uint32)(unsafe.Add(unsafe.Pointer(p.set.block), unsafe.Offsetof(block{}.asleep)+64))
	atomic.StoreUint32(hidden, 0)
	n := s.notifier(t)
	notify := s.way.bind(t, n)
	next := New()
	defer next.Close()
	last := testenv.Times(2000) + 10
	var first, second int
	sent := make(chan error, 1)
	go func() {
		for i := 1; i <= last; i++ {
			first = i
			err := notify()
			second = i
			err = errors.Join(err, notify())
			atomic.StoreUint32(hidden, uint32(i))
			if err = errors.Join(err, next.Wait(t.Context())); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := 1; i <= last; i++ {
		wait(t, "the sender", func() bool { return atomic.LoadUint32(hidden) == uint32(i) })
		require.NoError(t, n.Wait(t.Context()))
		require.Equal(t, []int{i, i}, []int{first, second})
		require.NoError(t, next.Notify())
	}
	require.NoError(t, within(t, "the sender", sent))
}

// Notifiers of one poller don't get each other's tokens.
func neighbours(t *testing.T, s *scene) {
	const count = 100
	var all []*Notifier
	var notify []func() error
	for range count {
		n := s.notifier(t)
		all = append(all, n)
		if s.way.name == byThread.name && len(all) > 10 {
			notify = append(notify, byHandle.bind(t, n))
		} else {
			notify = append(notify, s.way.bind(t, n))
		}
	}
	for round := range 5 {
		for i := range all {
			if i%(round+2) == 0 {
				require.NoError(t, notify[i]())
			}
		}
		s.settle(t)
		for i, n := range all {
			require.Equal(t, i%(round+2) == 0, n.Clear(), "notifier %d", i)
		}
	}
}
