package breath

// This file holds how a goroutine spins beside others, and when it should not.

import (
	"runtime"
	"time"

	"github.com/wakechan/wakechan/internal/clock"
)

const (
	// A spinning goroutine looks again within a microsecond, as a rule. After a longer
	// time than gap something else had its processor: another thread, of this process or
	// of any other, or a goroutine. Then it is the spinning that made the thread wait for
	// its turn: the kernel prefers threads that sleep. All that the thread does waits
	// with it.
	gap = 50 * time.Microsecond

	// So for share times as long nobody spins: it costs others at most a share-th of
	// their time. Whoever is kept from its processor again, before it could spin for as
	// long as it rested, rests for twice as long, at most for longer: others want that
	// processor all the time. A longer pause than most is one of the whole machine.
	share  = 100
	longer = time.Second
	most   = 10 * time.Second
)

// Spin is one goroutine's. The zero value is ready.
type Spin struct {
	paused time.Duration // when it last was not runnable
	looked time.Duration
	rest   time.Duration // the last one that Look began

	// Rests is the time until which Start and Look report false.
	Rests time.Duration
}

// Start reports whether to spin, at the time now.
func (s *Spin) Start(now time.Duration) bool {
	s.looked = now
	return now >= s.Rests
}

// Look is called now and then while spinning, with the time. It reports whether to go on.
func (s *Spin) Look(now time.Duration) bool {
	if away := now - s.looked; away > gap {
		rest := share * away
		if now-s.Rests < s.rest {
			rest = max(rest, min(2*s.rest, longer))
		}
		s.rest = min(rest, most)
		s.Rest(now + s.rest)
	}
	s.looked = now
	return now >= s.Rests
}

// Rest makes Rests until, unless it is more.
func (s *Spin) Rest(until time.Duration) { s.Rests = max(s.Rests, until) }

// Woke is called after the goroutine was asleep.
func (s *Spin) Woke(now time.Duration) { s.paused = now }

// Yield lets others run, and returns the time after that. Every now and then it also
// lets the scheduler look at the kernel's sockets and pipes: see Pause.
func (s *Spin) Yield(now time.Duration) time.Duration {
	if now-s.paused < every {
		runtime.Gosched()
		return clock.Now()
	}
	return s.pause()
}

// Breathe is Yield for who does not let others run each time.
func (s *Spin) Breathe(now time.Duration) {
	if now-s.paused >= every {
		s.pause()
	}
}

func (s *Spin) pause() time.Duration {
	Pause()
	s.paused = clock.Now()
	return s.paused
}
