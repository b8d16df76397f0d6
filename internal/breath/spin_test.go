package breath

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/clock"
)

// Whoever was kept from its processor does not spin for many times as long.
func TestSpinMakesRoomForOthers(t *testing.T) {
	var s Spin
	now := time.Hour
	require.True(t, s.Start(now))
	for range 100 {
		now += gap
		require.True(t, s.Look(now), "as long as a turn takes")
	}
	now += 3 * time.Millisecond
	require.False(t, s.Look(now), "somebody else ran")
	require.False(t, s.Start(now))
	require.False(t, s.Start(now+share*3*time.Millisecond-1))
	now += share * 3 * time.Millisecond
	require.True(t, s.Start(now), "the pause between two spins is nobody's time")
	require.True(t, s.Look(now))

	now += time.Hour
	require.False(t, s.Look(now))
	require.False(t, s.Start(now+most-1))
	require.True(t, s.Start(now+most), "the whole machine stood still")

	s.Rest(now + time.Minute)
	s.Rest(now)
	require.False(t, s.Start(now+most), "the longest rest counts")
}

// Where others always want the processor, spinning is tried less and less often.
func TestSpinRestsLongerEachTime(t *testing.T) {
	var s Spin
	now, want := time.Hour, share*time.Millisecond
	for range 10 {
		require.True(t, s.Start(now))
		now += time.Millisecond
		require.False(t, s.Look(now))
		require.False(t, s.Start(now+want-1))
		now += want
		want = min(2*want, longer)
	}
	require.Equal(t, longer, want)

	require.True(t, s.Start(now))
	for range longer / gap {
		now += gap
		require.True(t, s.Look(now))
	}
	now += time.Millisecond
	require.False(t, s.Look(now))
	require.True(t, s.Start(now+share*time.Millisecond), "it could spin for as long as it rested")
}

func TestSpinPausesNowAndThen(t *testing.T) {
	var s Spin
	s.Woke(clock.Now())
	woke := s.paused
	for s.paused == woke {
		s.Yield(clock.Now())
	}
	assert.Greater(t, s.paused-woke, every)
	for last := s.paused; s.paused == last; {
		s.Breathe(clock.Now())
	}
	last := s.paused
	s.Breathe(last + every - 1)
	assert.Equal(t, last, s.paused)
}
