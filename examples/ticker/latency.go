package main

// This file holds the sample of wake-up latencies.

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

var (
	latencies sample // from a tick through the notifier to the goroutine
	callbacks sample // from a tick through a cgo callback to the same goroutine
)

// sample keeps the latencies, all of them at first: once it is full it drops
// every other one and from then on keeps half as many.
type sample struct {
	mu     sync.Mutex
	kept   []time.Duration
	stride int // one of so many is kept
	seen   int
	max    time.Duration
}

const sampleSize = 1 << 17

func (s *sample) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max = max(s.max, d)
	s.seen++
	if s.stride == 0 {
		s.stride = 1
	}
	if s.seen%s.stride != 0 {
		return
	}
	s.kept = append(s.kept, d)
	if len(s.kept) == sampleSize {
		half := s.kept[:0]
		for i := 1; i < sampleSize; i += 2 {
			half = append(half, s.kept[i])
		}
		s.kept, s.stride = half, 2*s.stride
	}
}

func (s *sample) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen == 0
}

func (s *sample) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) == 0 {
		return "no wake-up came"
	}
	slices.Sort(s.kept)
	// The nearest rank: the smallest value that so many percent do not exceed.
	rank := func(percent int) time.Duration { return s.kept[(len(s.kept)*percent+99)/100-1] }
	return fmt.Sprintf("p50 %v, p99 %v, max %v", short(rank(50)), short(rank(99)), short(s.max))
}

// short keeps the digits that mean something.
func short(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(100 * time.Nanosecond)
	}
	return d.Round(10 * time.Microsecond)
}
