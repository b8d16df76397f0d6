package notifier

// This file tests that a poller's goroutine ends when no handle is left, and that the
// next handle starts it again without losing anything.

import (
	"context"
	"errors"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// running returns what the goroutine of p closes when it ends, or nil.
func (p *Poller) running() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

func TestGoroutineEndsWhenUnused(t *testing.T) {
	for _, backend := range Backends() {
		p := newPoller(t, WithBackend(backend))
		for range 5 {
			n, err := p.New()
			require.NoError(t, err)
			h := handleOf(t, n)
			exited := p.running()
			require.NotNil(t, exited)
			require.NoError(t, h.Notify())
			receive(t, n)
			require.NoError(t, n.Close())
			within(t, "the goroutine to end", exited)
			require.Nil(t, p.running())
			require.ErrorIs(t, h.Notify(), ErrClosed)
		}
		require.NoError(t, p.Close())
	}
}

// The default poller's does: nothing of this package runs when all is closed.
func TestDefaultPollerLeavesNoGoroutine(t *testing.T) {
	if len(Backends()) == 0 {
		t.Skip("no poller here")
	}
	n := New()
	require.NoError(t, handleOf(t, n).Notify())
	receive(t, n)
	require.NoError(t, n.Close())
	wait(t, "the default poller's goroutine to end", func() bool {
		process.mu.Lock()
		defer process.mu.Unlock()
		return process.p.running() == nil
	})
}

// With a handle left it stays, and a signal that failed costs the time until the next
// self-check only.
func TestGoroutineStaysWhileUsed(t *testing.T) {
	p, bell := fakePoller(t)
	p.grace, p.watch = time.Microsecond, time.Millisecond // before it is started
	list, handles := notifiers(t, p, 2)
	exited := p.running()
	require.NoError(t, list[0].Close())
	checks := p.counts.scans.Load() + 10
	wait(t, "some self-checks", func() bool { return p.counts.scans.Load() > checks })
	require.Equal(t, exited, p.running())
	require.NoError(t, handles[1].Notify())
	receive(t, list[1])
	settle(t, p)
	broken := errors.New("broken")
	bell.broken.Store(&broken)
	require.NoError(t, list[1].Close())
	within(t, "the goroutine to end", exited)
	bell.broken.Store(nil)
}

// Handles come and go while the goroutine ends at every chance: each notification is
// received.
func TestRetireAgainstAdmit(t *testing.T) {
	for _, backend := range Backends() {
		for _, grace := range []time.Duration{0, 1, 20 * time.Microsecond} {
			p := newPoller(t, WithBackend(backend))
			if p.grace == 0 && grace != 0 {
				break // its doorbell keeps no time
			}
			p.grace = grace
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					for range testenv.Times(300) {
						n, err := p.New()
						if !assert.NoError(t, err) {
							return
						}
						h, err := n.Handle()
						if !assert.NoError(t, err) || !assert.NoError(t, h.Notify()) {
							return
						}
						ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience())
						err = n.Wait(ctx)
						cancel()
						if !assert.NoError(t, err) {
							return
						}
						_ = n.Close()
					}
				})
			}
			all.Wait()
			if exited := p.running(); exited != nil {
				within(t, "the goroutine to end", exited)
			}
			require.NoError(t, p.Close())
		}
	}
}

// The goroutine has no profiler labels of whoever took the first handle.
func TestGoroutineHasNoLabels(t *testing.T) {
	if len(Backends()) == 0 {
		t.Skip("no poller here")
	}
	p := newPoller(t)
	n, err := p.New()
	require.NoError(t, err)
	pprof.Do(context.Background(), pprof.Labels("wakechan-test", "first-caller"), func(context.Context) { handleOf(t, n) })
	require.NoError(t, n.handle.Notify())
	receive(t, n)
	var b strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 1))
	require.Contains(t, b.String(), "(*Poller).run")
	require.NotContains(t, b.String(), "first-caller")
}
