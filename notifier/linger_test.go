package notifier

// This file tests how the lingering adapts, by telling it how long the poller slept
// instead of letting it sleep.

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/clock"
	"github.com/wakechan/wakechan/internal/testenv"
)

const us = time.Microsecond

func (l *lingering) now() time.Duration { return time.Duration(l.window.Load()) }

// look lingers with nothing or with something to find.
func (l *lingering) look(something, behind bool) bool {
	var ready uint32
	if something {
		ready = 1
	}
	var stop atomic.Uint32
	return l.more(&ready, &stop, behind)
}

func TestTheWindowFollowsTheSource(t *testing.T) {
	l := &lingering{ceiling: 100 * us}
	require.False(t, l.look(true, false), "no window yet")

	// A source of one in 60 µs: up to a window that finds it.
	for _, want := range []time.Duration{12, 24, 48, 96} {
		l.spun = l.now()
		l.slept(60*us - l.now())
		require.Equal(t, want*us, l.now())
	}
	l.slept(2 * us)
	require.Equal(t, 100*us, l.now(), "the ceiling")

	// It pauses: down to nothing.
	for _, want := range []time.Duration{50 * us, 25 * us, 12500 * time.Nanosecond, 0} {
		l.slept(time.Second)
		require.Equal(t, want, l.now())
	}

	// One in 200 µs never begins.
	l.slept(200 * us)
	require.Zero(t, l.now())

	off := &lingering{}
	off.slept(0)
	require.Zero(t, off.now(), "WithLinger(0)")
	require.False(t, off.look(true, true))
}

func TestLingeringThatKeepsItsSourceWaitingEnds(t *testing.T) {
	l := &lingering{ceiling: DefaultLinger}
	just := DefaultLinger / soon / 2
	full := int64(DefaultLinger)
	kept := func() {
		l.window.Store(full)
		l.spun = DefaultLinger / 2
		l.slept(just)
	}
	for range enough/keeps - 1 {
		kept()
		require.Zero(t, l.spin.Rests, "not for a few")
	}
	kept()
	require.NotZero(t, l.spin.Rests, "a truce")
	require.Zero(t, l.now())
	l.spin.Rests = clock.Now() + time.Hour // the test may be slower than the real one
	l.window.Store(full)
	require.False(t, l.look(true, false), "none in a truce, though there is something to find")

	// After it, what is found counts against what is kept.
	l.spin.Rests = 0
	for range keeps * 2 {
		l.window.Store(full)
		require.True(t, l.look(true, false))
	}
	kept()
	require.Zero(t, l.spin.Rests)
	kept()
	kept()
	require.NotZero(t, l.spin.Rests)

	// Without anything found, the first one that is kept is enough.
	l.spin.Rests = 0
	kept()
	require.NotZero(t, l.spin.Rests)

	// A short window keeps nobody for long, and one that was not used nobody at all.
	q := &lingering{ceiling: DefaultLinger}
	for range 100 {
		q.window.Store(int64(firstWindow))
		q.spun = firstWindow
		q.slept(just)
		q.window.Store(full)
		q.spun = 0
		q.slept(just)
	}
	require.Zero(t, q.spin.Rests)
}

// While nobody receives, and what comes is no flood, the poller goes to sleep at once,
// however long its window is. It does linger in a flood, until that ends.
func TestNoLingeringForNobody(t *testing.T) {
	l := &lingering{ceiling: DefaultLinger}
	least := time.Hour
	for range 100 {
		l.window.Store(int64(DefaultLinger))
		l.slept(50 * us)
		require.False(t, l.flood)
		l.spin.Rests = 0 // the test may have been kept from its processor
		require.False(t, l.look(false, true))
		least = min(least, l.spun)
	}
	require.Less(t, least, pace, "not for the window, unless another thread had the processor")
	l.spin.Rests = 0
	require.True(t, l.look(true, true), "there is something already: a flood")
	require.True(t, l.flood)
	l.spin.Rests = 0
	require.True(t, l.look(true, true))
	l.spin.Rests = 0
	require.False(t, l.look(false, true))
	require.GreaterOrEqual(t, l.spun, pace, "it waits for the flood to go on")
	require.False(t, l.flood, "it has ended")
	l.slept(dense / 2)
	require.False(t, l.flood, "a sleep that was short")
}

func TestCeilingFromTheEnvironment(t *testing.T) {
	for value, want := range map[string]time.Duration{"0": 0, "0s": 0, "250us": 250 * us, "1ms": time.Millisecond, "-1s": 0} {
		t.Setenv(lingerVariable, value)
		if len(Backends()) == 0 || runtime.GOOS == "wasip1" {
			break // without threads there is nobody to linger for
		}
		p, err := NewPoller()
		require.NoError(t, err)
		assert.Equal(t, want, p.lingering.ceiling, value)
		require.NoError(t, p.Close())
		p = newPoller(t, WithLinger(7*us))
		assert.Equal(t, 7*us, p.lingering.ceiling, "the program's own choice counts more")
	}
	t.Setenv(lingerVariable, "soon")
	_, err := NewPoller()
	require.ErrorContains(t, err, "NOTIFIER_LINGER=soon")
}

// However long its window is, a poller that shares its processor with a goroutine that
// computes goes to sleep.
func TestLingeringMakesRoomForOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer testenv.Compute()()
	l := &lingering{ceiling: time.Hour}
	l.window.Store(int64(time.Hour))
	began := clock.Now()
	require.False(t, l.look(false, false))
	require.Less(t, l.spun, time.Hour)
	require.Greater(t, l.spin.Rests, began+l.spun, "nor does it begin for a while")
}
