package notifier

// This file tests how the lingering adapts, by telling the poller how long it
// slept instead of letting it sleep.

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/clock"
)

// lingering returns a poller that is not running.
func lingering(ceiling time.Duration) *Poller {
	return &Poller{set: &readySet{block: new(block)}, ceiling: ceiling}
}

func (p *Poller) windowNow() time.Duration { return time.Duration(p.window.Load()) }

func TestTheWindowFollowsTheSource(t *testing.T) {
	const us = time.Microsecond
	p := lingering(100 * us)
	require.False(t, p.linger(false), "no window yet")

	// A source of one in 60 µs: up to a window that finds it.
	for _, want := range []time.Duration{12, 24, 48, 96} {
		p.adapt(60*us - p.windowNow())
		require.Equal(t, want*us, p.windowNow())
	}
	p.adapt(2 * us)
	require.Equal(t, 100*us, p.windowNow(), "the ceiling")

	// It pauses: down to nothing.
	for _, want := range []time.Duration{50 * us, 25 * us, 12500 * time.Nanosecond, 0} {
		p.adapt(time.Second)
		require.Equal(t, want, p.windowNow())
	}

	// One in 200 µs never begins.
	p.adapt(200 * us)
	require.Zero(t, p.windowNow())

	off := lingering(0)
	off.adapt(0)
	require.Zero(t, off.windowNow(), "WithLinger(0)")
}

func TestLingeringThatKeepsItsSourceWaitingEnds(t *testing.T) {
	p := lingering(DefaultLinger)
	just := DefaultLinger / soon / 2
	full := int64(DefaultLinger)
	kept := func() {
		p.window.Store(full)
		p.adapt(just)
	}
	for range enough/keeps - 1 {
		kept()
		require.Zero(t, p.truceEnds, "not for a few")
	}
	kept()
	require.NotZero(t, p.truceEnds, "a truce")
	require.Zero(t, p.windowNow())
	p.truceEnds = clock.Now() + time.Hour // the test may be slower than the real one
	p.window.Store(full)
	p.set.root = 1
	require.False(t, p.linger(false), "none in a truce, though there is something to find")

	// After it, what is found counts against what is kept.
	p.truceEnds = 0
	for range keeps * 2 {
		p.window.Store(full)
		require.True(t, p.linger(false))
	}
	kept()
	require.Zero(t, p.truceEnds)
	kept()
	kept()
	require.NotZero(t, p.truceEnds)

	// Without anything found, the first one that is kept is enough.
	p.truceEnds = 0
	kept()
	require.NotZero(t, p.truceEnds)

	// A short window keeps nobody for long.
	q := lingering(DefaultLinger)
	for range 100 {
		q.window.Store(int64(firstWindow))
		q.adapt(just)
	}
	require.Zero(t, q.truceEnds)
}
