package notifier

// This file holds many threads at once: totals that add up, Close in the middle
// of it, crowds of short-lived threads, a busy Go. Nothing here asserts a time.
// litmus_test.go has what is about the order of memory.

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// storm is threads, or goroutines, that count and then notify: foreign.Storm.
type storm interface {
	Published(i int) uint64
	Stop()
	Wait() foreign.Results
	Close()
}

// goStorm is foreign.Storm with goroutines.
type goStorm struct {
	published []atomic.Uint64
	stop      atomic.Bool
	all       sync.WaitGroup
	mu        sync.Mutex
	results   foreign.Results
}

func newGoStorm(notify []func() error, goroutines, each int) *goStorm {
	s := &goStorm{published: make([]atomic.Uint64, len(notify))}
	for g := range goroutines {
		s.all.Go(func() {
			var r foreign.Results
			random := uint64(g + 1)
			for i := 0; (each == 0 || i < each) && !s.stop.Load(); i++ {
				if each == 0 && i%64 == 63 {
					runtime.Gosched() // the others need a P now and then
				}
				random ^= random << 13
				random ^= random >> 7
				random ^= random << 17
				at := random % uint64(len(notify))
				s.published[at].Add(1)
				switch err := notify[at](); err {
				case nil:
					r.OK++
				case ErrClosed:
					r.Closed++
				default:
					r.Failed, r.Err = r.Failed+1, err
				}
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.results.OK += r.OK
			s.results.Closed += r.Closed
			if r.Failed > 0 {
				s.results.Failed, s.results.Err = s.results.Failed+r.Failed, r.Err
			}
		})
	}
	return s
}

func (s *goStorm) Published(i int) uint64 { return s.published[i].Load() }
func (s *goStorm) Stop()                  { s.stop.Store(true) }
func (s *goStorm) Close()                 { s.Stop(); s.all.Wait() }
func (s *goStorm) Wait() foreign.Results  { s.all.Wait(); return s.results }

// storms are the ways to make one of notifiers of a poller.
var storms = map[string]func(list []*Notifier, threads, each int) storm{
	"handle": func(list []*Notifier, threads, each int) storm {
		var notify []func() error
		for _, n := range list {
			notify = append(notify, n.handle.Notify)
		}
		return newGoStorm(notify, threads, each)
	},
	"go": func(list []*Notifier, threads, each int) storm {
		var notify []func() error
		for _, n := range list {
			notify = append(notify, n.Notify)
		}
		return newGoStorm(notify, threads, each)
	},
}

func init() {
	if foreign.Available {
		storms["thread"] = func(list []*Notifier, threads, each int) storm {
			return foreign.Storm(numbers(list), threads, each, each%2 == 0)
		}
	}
}

func numbers(list []*Notifier) []uint64 {
	var handles []uint64
	for _, n := range list {
		handles = append(handles, uint64(n.handle))
	}
	return handles
}

// stormy runs a test for each backend and the fake, by each storm that it can have.
func stormy(t *testing.T, test func(t *testing.T, p *Poller, name string)) {
	for _, backend := range append(Backends(), "fake") {
		for name := range storms {
			if backend == "fake" && name == "thread" {
				continue
			}
			t.Run(backend+"/"+name, func(t *testing.T) {
				var p *Poller
				if backend == "fake" {
					p, _ = fakePoller(t)
				} else {
					p = newPoller(t, WithBackend(backend))
				}
				test(t, p, name)
			})
		}
	}
}

// processors sets GOMAXPROCS for the test.
func processors(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// Every notification is followed by a wake-up that sees what came before it: at
// the end the receivers have seen the last of each. And the counts add up.
func TestTotals(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), func(t *testing.T) {
			processors(t, procs)
			stormy(t, totals)
		})
	}
}

func totals(t *testing.T, p *Poller, name string) {
	const threads, count = 4, 20
	each := testenv.Times(200_000)
	list, _ := notifiers(t, p, count)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	storm := storms[name](list, threads, each)
	defer storm.Close()

	var seen, received [count]atomic.Uint64
	var receivers sync.WaitGroup
	for i, n := range list {
		woken := func() {
			received[i].Add(1)
			seen[i].Store(storm.Published(i))
		}
		receivers.Go(func() {
			switch i % 4 {
			case 0, 1: // raw
				for {
					select {
					case <-n.C():
						woken()
					case <-ctx.Done():
						return
					}
				}
			case 2:
				for range n.Wakes(ctx) {
					woken()
				}
			case 3:
				for n.Wait(ctx) == nil {
					woken()
					for n.Clear() {
						woken()
					}
				}
			}
		})
	}
	results := storm.Wait()
	assert.EqualValues(t, threads*each, results.Total())
	assert.EqualValues(t, threads*each, results.Arrived(), "%+v", results)
	assert.Zero(t, results.Changed)
	published := uint64(0)
	for i := range list {
		last := storm.Published(i)
		published += last
		wait(t, fmt.Sprintf("the last of notifier %d", i), func() bool { return seen[i].Load() == last })
	}
	assert.EqualValues(t, threads*each, published)
	settle(t, p)
	cancel()
	receivers.Wait()

	var all Stats
	for i, n := range list {
		stats := n.Stats()
		all.Delivered += stats.Delivered
		all.Coalesced += stats.Coalesced
		taken := received[i].Load() + uint64(len(n.C()))
		if i%4 < 2 {
			assert.Equal(t, stats.Delivered, taken, "notifier %d: each token was received once", i)
		}
		assert.False(t, isSet(n))
	}
	if name != "go" {
		stats := p.Stats()
		assert.Equal(t, stats.Delivered, all.Delivered)
		assert.Equal(t, stats.Coalesced, all.Coalesced)
		// A poller wakes for what is ready, not more often.
		assert.LessOrEqual(t, all.Delivered, results.Arrived())
	}
}

// A raw receive that overtakes the poller sees at most two tokens more than the
// one that is due.
func TestRawReceive(t *testing.T) {
	stormy(t, func(t *testing.T, p *Poller, name string) {
		list, _ := notifiers(t, p, 1)
		n := list[0]
		for range testenv.Repeats(100) {
			storm := storms[name](list, 1, 20)
			taken := 0
			take := func() {
				select {
				case <-n.C():
					taken++
				default:
				}
			}
			results := storm.Wait()
			require.EqualValues(t, 20, results.Arrived())
			storm.Close()
			for !asleepIdle(p) {
				take()
				runtime.Gosched()
			}
			take()
			require.LessOrEqual(t, 1, taken)
			require.LessOrEqual(t, taken, 3)
			require.Empty(t, n.C())
		}
	})
}

// Close while 8 threads notify and 8 goroutines wait: everybody ends, and no
// token comes after it.
func TestCloseWhileAllAreAtIt(t *testing.T) {
	stormy(t, func(t *testing.T, p *Poller, name string) {
		for round := range testenv.Repeats(50) {
			list, _ := notifiers(t, p, 1)
			n := list[0]
			storm := storms[name](list, 8, 0)
			var waiters sync.WaitGroup
			for i := range 8 {
				waiters.Go(func() {
					switch i % 4 {
					case 0:
						for n.Wait(context.Background()) == nil {
						}
					case 1:
						for range n.Wakes(context.Background()) {
						}
					case 2:
						for {
							select {
							case <-n.C():
							case <-n.Done():
								return
							}
						}
					case 3:
						for n.Err() == nil {
							n.Clear()
							runtime.Gosched()
						}
					}
				})
			}
			// Not for a token: on one processor those who Clear may take everything
			// before the poller has looked.
			wait(t, "the storm to begin", func() bool { return storm.Published(0) > 100 })
			var closers sync.WaitGroup
			for range 2 {
				closers.Go(func() {
					if round%8 == 7 {
						_ = p.Close()
					}
					_ = n.Close()
				})
			}
			closers.Wait()
			patient(t, "the waiters to end", waiters.Wait)
			n.Clear()
			before := storm.Published(0)
			wait(t, "late notifications", func() bool { return storm.Published(0) > before+100 })
			storm.Stop()
			results := storm.Wait()
			storm.Close()
			require.Empty(t, n.C(), "a token was put in after Close")
			require.Positive(t, results.Closed)
			require.Zero(t, results.Failed, "%v", results.Err)
			require.Zero(t, results.Invalid)
			require.Zero(t, results.Changed)
			if round%8 == 7 {
				if p.backend == "fake" {
					return
				}
				p = newPoller(t, WithBackend(p.backend))
			}
		}
	})
}

// Notifiers come and go under the fire of those who hold stale handles, each
// new one gets its own notifications and few of others.
func TestComingAndGoing(t *testing.T) {
	stormy(t, func(t *testing.T, p *Poller, name string) {
		list, _ := notifiers(t, p, 50)
		storm := storms[name](list, 3, 0)
		for _, n := range list {
			require.NoError(t, n.Close())
		}
		for range testenv.Repeats(5000) {
			n, err := p.New()
			require.NoError(t, err)
			require.NoError(t, handleOf(t, n).Notify())
			receive(t, n)
			require.NoError(t, n.Close())
		}
		storm.Stop()
		results := storm.Wait()
		storm.Close()
		assert.Zero(t, results.Failed, "%v", results.Err)
	})
}

// Pollers come and go as well, and their sets from one to the next.
func TestPollersComingAndGoing(t *testing.T) {
	for _, backend := range Backends() {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range testenv.Times(200) {
					p, err := NewPoller(WithBackend(backend))
					if !assert.NoError(t, err) {
						return
					}
					var list []*Notifier
					for range 3 {
						n, err := p.New()
						assert.NoError(t, err)
						h, err := n.Handle()
						assert.NoError(t, err)
						assert.NoError(t, h.Notify())
						list = append(list, n)
					}
					for _, n := range list {
						assert.NoError(t, n.Wait(t.Context()))
					}
					go func() { _ = list[0].handle.Notify() }()
					assert.NoError(t, p.Close())
					assert.ErrorIs(t, list[1].Err(), ErrClosed)
				}
			})
		}
		patient(t, "all to come and go", all.Wait)
	}
}

// Thousands of threads that live for one notification.
func TestShortLivedThreads(t *testing.T) {
	if !foreign.Available {
		testenv.Missing(t, "cgo", "built without")
	}
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			p := newPoller(t, WithBackend(backend))
			list, handles := notifiers(t, p, 1)
			const makers = 4
			each := testenv.Times(10_000)/makers + 1
			var made atomic.Int64
			var all sync.WaitGroup
			for range makers {
				all.Go(func() {
					for range each {
						made.Add(1)
						if r := foreign.OnThread(uint64(handles[0]), 1); r.Arrived() != 1 || r.Changed != 0 {
							t.Errorf("%+v", r)
							return
						}
					}
				})
			}
			for seen := int64(0); seen < makers*int64(each); seen = made.Load() {
				receive(t, list[0])
			}
			all.Wait()
			settle(t, p)
			list[0].Clear()
			require.Equal(t, int64(1), int64(foreign.OnThread(uint64(handles[0]), 1).OK))
			receive(t, list[0])
		})
	}
}

// With one P, goroutines that keep it busy, and the garbage collector at work,
// nothing is lost.
func TestBusyProcessor(t *testing.T) {
	processors(t, 1)
	stormy(t, func(t *testing.T, p *Poller, name string) {
		var busy sync.WaitGroup
		var stop atomic.Bool
		defer busy.Wait()
		defer stop.Store(true)
		for range 2 {
			busy.Go(func() {
				for n := 0; !stop.Load(); n++ {
					if runtime.GOOS == "wasip1" { // no preemption there
						runtime.Gosched()
					}
				}
			})
		}
		busy.Go(func() {
			for !stop.Load() {
				runtime.GC()
			}
		})
		list, _ := notifiers(t, p, 2)
		for range testenv.Repeats(20) {
			storm := storms[name](list, 2, 50)
			results := storm.Wait()
			assert.EqualValues(t, 100, results.Arrived())
			storm.Close()
			require.NoError(t, list[0].Wait(t.Context()))
			receive(t, list[1])
			list[1].Clear()
		}
	})
}

// Threads that notify go on while the world is stopped, again and again.
func TestStoppedWorld(t *testing.T) {
	if !foreign.Available {
		testenv.Missing(t, "cgo", "built without")
	}
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			p := newPoller(t, WithBackend(backend))
			list, _ := notifiers(t, p, 4)
			storm := foreign.Storm(numbers(list), 2, 0, false)
			defer storm.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var woken atomic.Int64
			var receivers sync.WaitGroup
			for _, n := range list {
				receivers.Go(func() {
					for n.Wait(ctx) == nil {
						woken.Add(1)
					}
				})
			}
			sum := func() (sum uint64) {
				for i := range list {
					sum += storm.Published(i)
				}
				return sum
			}
			for i := range testenv.Repeats(200) {
				notified, wakeups := sum(), woken.Load()
				switch i % 3 {
				case 0:
					var stats runtime.MemStats
					runtime.ReadMemStats(&stats)
				case 1:
					debug.FreeOSMemory()
				case 2:
					runtime.GC()
				}
				wait(t, "the threads to go on", func() bool { return sum() > notified })
				if i%10 == 0 {
					wait(t, "wake-ups to go on", func() bool { return woken.Load() > wakeups })
				}
			}
			storm.Stop()
			results := storm.Wait()
			assert.Equal(t, results.Total(), results.Arrived(), "%+v", results)
			cancel()
			receivers.Wait()
		})
	}
}
