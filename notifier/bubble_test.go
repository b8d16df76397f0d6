package notifier

// This file holds what happens in testing/synctest bubbles, and between them and
// the rest of the process. A mistake here is no failed test: it is a fatal error
// that ends the process, or a deadlock that synctest reports.

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bubbled runs f in a bubble, as many calls as it likes of require included.
func bubbled(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// Everything between goroutines works in a bubble, and waiting is durable: the
// bubble's clock goes on, and synctest.Wait returns.
func TestBubble(t *testing.T) {
	bubbled(t, func(t *testing.T) {
		n := New()
		woken := 0
		var ends [3]error
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for range n.Wakes(ctx) {
				woken++
			}
			ends[0] = n.Err()
		}()
		synctest.Wait()
		assert.Zero(t, woken)

		require.NoError(t, n.Notify())
		synctest.Wait()
		assert.Equal(t, 1, woken)

		go func() {
			time.Sleep(time.Hour)
			_ = n.Notify()
		}()
		time.Sleep(2 * time.Hour) // of the bubble's clock
		synctest.Wait()
		assert.Equal(t, 2, woken)

		cancel()
		synctest.Wait()
		require.NoError(t, ends[0])

		short, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		assert.ErrorIs(t, n.Wait(short), context.DeadlineExceeded)

		go func() { ends[1] = n.Wait(context.Background()) }()
		go func() { <-n.Done(); ends[2] = n.Err() }()
		synctest.Wait()
		assert.NoError(t, ends[1])
		require.NoError(t, n.Close())
		synctest.Wait()
		assert.ErrorIs(t, ends[1], ErrClosed)
		assert.ErrorIs(t, ends[2], ErrClosed)
	})
}

func TestSelectInBubble(t *testing.T) {
	bubbled(t, func(t *testing.T) {
		n := New()
		defer n.Close()
		go func() {
			time.Sleep(time.Second)
			_ = n.Notify()
		}()
		start := time.Now()
		select {
		case <-n.C():
			assert.Equal(t, time.Second, time.Since(start))
		case <-time.After(time.Minute):
			t.Error("lost")
		}
		synctest.Wait()
		assert.False(t, n.Clear())
	})
}

// Handle refuses in a bubble, and later outside of it for a bubble's notifier;
// the default poller is not born there.
func TestHandleInBubble(t *testing.T) {
	outside := New()
	defer outside.Close()
	process.mu.Lock()
	standing := process.p
	process.p = nil // as if nobody had asked for a handle yet
	process.mu.Unlock()
	defer func() {
		process.mu.Lock()
		process.p = standing
		process.mu.Unlock()
	}()

	var inside *Notifier
	bubbled(t, func(t *testing.T) {
		inside = New()
		for _, n := range []*Notifier{inside, outside} {
			h, err := n.Handle()
			require.ErrorContains(t, err, "synctest")
			require.Zero(t, h)
			require.NoError(t, n.Notify(), "it works as before")
			require.True(t, n.Clear())
		}
	})
	assert.Nil(t, process.p)
	h, err := inside.Handle()
	require.ErrorContains(t, err, "synctest")
	require.Zero(t, h)
	assert.Nil(t, process.p)
}

// A notifier made outside, with a handle, can be used inside: waiting there is
// not durable, and its channels stay what they were.
func TestOutsidersInBubble(t *testing.T) {
	p, _ := fakePoller(t)
	list, handles := notifiers(t, p, 2)
	bubbled(t, func(t *testing.T) {
		woken := make(chan error)
		go func() {
			woken <- list[0].Wait(t.Context())
			woken <- list[0].Wait(context.Background())
		}()
		require.NoError(t, handles[0].Notify())
		require.NoError(t, <-woken)
		require.NoError(t, list[0].Close())
		require.ErrorIs(t, <-woken, ErrClosed)

		// The channel that this makes must not be the bubble's: it is closed
		// outside, below.
		ctx, cancel := context.WithCancel(t.Context())
		go cancel() // a timeout would not come: the clock waits for who waits here
		require.ErrorIs(t, list[1].Wait(ctx), context.Canceled)
	})
	require.NoError(t, handles[1].Notify())
	receive(t, list[1])
	require.NoError(t, list[1].Close())
	within(t, "Done", list[1].Done())
}

// Many notifiers from outside may be waited for inside for the first time.
func TestManyOutsidersInBubble(t *testing.T) {
	for range 3 {
		var list []*Notifier
		for range cap(spares) {
			n := New()
			list = append(list, n)
		}
		bubbled(t, func(t *testing.T) {
			for _, n := range list {
				n.Done()
				// Made inside, they take none of the spare channels.
				own := New()
				own.Done()
				require.NoError(t, own.Close())
			}
		})
		for _, n := range list {
			require.NoError(t, n.Close())
			within(t, "Done", n.Done())
		}
	}
}

// Notifiers of a poller may be made in a bubble; the poller is closed outside.
func TestPollersNotifierInBubble(t *testing.T) {
	p, _ := fakePoller(t)
	with, _ := notifiers(t, p, 1)
	var inside *Notifier
	bubbled(t, func(t *testing.T) {
		var err error
		inside, err = p.New()
		require.NoError(t, err)
		inside.Done()
		require.NoError(t, inside.Notify())
		require.NoError(t, inside.Wait(t.Context()))

		other, err := p.New()
		require.NoError(t, err)
		require.NoError(t, other.Close())
	})
	require.NoError(t, p.Close())
	require.ErrorIs(t, inside.Err(), ErrClosed)
	require.ErrorIs(t, with[0].Err(), ErrClosed)
	require.ErrorIs(t, inside.Notify(), ErrClosed)
}

// A poller may be made in a bubble, and closed there; it runs outside only.
func TestPollerInBubble(t *testing.T) {
	if len(Backends()) == 0 {
		t.Skip("no doorbell")
	}
	// None that was made outside may serve it.
	idle.mu.Lock()
	sets := idle.sets
	idle.sets = nil
	idle.mu.Unlock()
	defer func() {
		idle.mu.Lock()
		defer idle.mu.Unlock()
		for name, list := range sets {
			idle.sets[name] = append(idle.sets[name], list...)
		}
	}()
	var p *Poller
	bubbled(t, func(t *testing.T) {
		closed := newPoller(t)
		n, err := closed.New()
		require.NoError(t, err)
		done := n.Done()
		require.NoError(t, closed.Close())
		<-done
		require.ErrorIs(t, n.Notify(), ErrClosed)
	})
	bubbled(t, func(t *testing.T) {
		var err error
		p, err = NewPoller()
		require.NoError(t, err)
	})
	kept(t, p)
	list, handles := notifiers(t, p, 1)
	require.NoError(t, handles[0].Notify())
	receive(t, list[0])
	bubbled(t, func(t *testing.T) { require.NoError(t, p.Close()) })
	within(t, "the poller's goroutine", p.exited)
	require.ErrorIs(t, list[0].Err(), ErrClosed)
}

// Notify from outside on a bubble's notifier gives an error, not the end of the
// process.
func TestNotifyFromOutsideOfBubble(t *testing.T) {
	bubbled(t, func(t *testing.T) {
		n := New()
		defer n.Close()
		outside <- n
		require.ErrorContains(t, <-answers, "synctest")
		require.NoError(t, n.Notify())
		require.True(t, n.Clear())
	})
}

// A goroutine that no bubble has, as a program's others are.
var outside, answers = make(chan *Notifier), make(chan error)

func init() {
	go func() {
		for n := range outside {
			answers <- n.Notify()
		}
	}()
}
