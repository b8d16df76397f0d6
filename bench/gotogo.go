package main

// This file measures Notify between goroutines, where a bare channel is the
// rival: with a token there already, and waking a receiver.

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

const (
	nameSelect = "select { case c <- v: default: }"
	nameCond   = "sync.Cond"
	nameSignal = "sync.Cond, with its mutex and flag"
	nameGlance = "a full fence and a look at the channel"
)

func (b *bench) goRedundant() {
	s := b.section("Go Notify, token already there",
		"Goroutines call in a loop, nobody receives. Time for one call of one goroutine, the mean of all. The fence is the floor, as above; with the look, in a function that is called as Notify is, it is the floor for who must also see whether a token is there. sync.Cond keeps no token, so each call sets a flag under the mutex, lest it be lost, and signals. gnet has no token: each Trigger enqueues a call that its poller has to make (here it makes them after the round).")
	t := s.table("goroutines", "way", "time a call", "quartiles", "notifier is", "allocations")
	n := notifier.New()
	h := must1(notifier.New().Handle())
	c := make(chan struct{}, 1)
	cond := newTrigger()
	notifyQueue, _ := newWaiter()
	pending := newGnetPending()
	flag := newSignalled()
	full := make(chan struct{}, 1)
	full <- struct{}{}
	trySend := func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	ways := []struct {
		name  string
		loop  func(k int)
		once  func()
		after func() // after a round, untimed
	}{
		{nameNotifier, func(k int) {
			for range k {
				_ = n.Notify()
			}
		}, func() { _ = n.Notify() }, nil},
		{nameSelect, func(k int) {
			for range k {
				select {
				case c <- struct{}{}:
				default:
				}
			}
		}, trySend, nil},
		{nameMsync, func(k int) {
			for range k {
				cond.Set()
			}
		}, cond.Set, nil},
		{nameWaiter, func(k int) {
			for range k {
				notifyQueue()
			}
		}, notifyQueue, nil},
		{nameSignal, func(k int) {
			for range k {
				flag.notify()
			}
		}, flag.notify, nil},
		{nameGnet, func(k int) {
			for range k {
				pending.trigger()
			}
		}, pending.trigger, pending.drain},
		{"Handle.Notify", func(k int) {
			for range k {
				_ = h.Notify()
			}
		}, func() { _ = h.Notify() }, nil},
		{nameFence, func(k int) {
			for range k {
				goFence()
			}
		}, goFence, nil},
		{nameGlance, func(k int) {
			for range k {
				_ = glance(full)
			}
		}, func() { _ = glance(full) }, nil},
	}
	goroutines := b.pick([]int{1, 2, 4, 16, 64}, []int{1, 2})
	var list []contestant
	for _, g := range goroutines {
		for _, w := range ways {
			list = append(list, contestant{name: w.name, config: fmt.Sprint("goroutines=", g), run: together(g, w.loop, w.after)})
		}
	}
	scores := b.compete("GoRedundant", b.rounds(60), b.length(3*time.Millisecond), list)
	for i, g := range goroutines {
		mine := scores[i*len(ways):][:len(ways)]
		for k, sc := range mine {
			m := sc.spread()
			t.add(g, sc.name, duration(m.median), quartiles(m), ratio(mine[0].against(sc)), testing.AllocsPerRun(1000, ways[k].once))
		}
		if g == runtime.GOMAXPROCS(0) {
			b.target("go-flat", mine[0].against(scores[0]))
		}
	}
	b.target("go-redundant", scores[0].against(scores[1]))
	b.floor("go-redundant", find(scores, nameGlance).against(scores[1]))
	allocs := testing.AllocsPerRun(1000, ways[0].once)
	b.target("go-allocs", spread{allocs, allocs, allocs})
	must(n.Close())
	pending.close()
}

// signalled is what a sync.Cond needs so that a notification with nobody waiting is not
// lost.
type signalled struct {
	mu   sync.Mutex
	cond *sync.Cond
	set  bool
}

func newSignalled() *signalled {
	s := new(signalled)
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *signalled) notify() {
	s.mu.Lock()
	s.set = true
	s.mu.Unlock()
	s.cond.Signal()
}

// goFence is what Notify begins with (fence in notifier/readyset.go).
func goFence() {
	var private atomic.Uint32
	private.Store(1)
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
		private.Load()
	}
}

//go:noinline
func glance(c chan struct{}) bool {
	goFence()
	return len(c) != 0
}

// together returns a run in which goroutines call loop with n each. Its time is the
// mean of theirs. As many as there are Ps begin together; the others follow. Then it
// calls after, unless that is nil.
func together(goroutines int, loop func(n int), after func()) func(n int) time.Duration {
	return func(n int) time.Duration {
		var began, sum atomic.Int64
		var ended sync.WaitGroup
		all := int64(min(goroutines, runtime.GOMAXPROCS(0)))
		each := max(1, n*int(all)/goroutines) // a round is as long for many as for one
		for range goroutines {
			ended.Go(func() {
				for began.Add(1); began.Load() < all; {
					runtime.Gosched()
				}
				start := time.Now()
				loop(each)
				sum.Add(int64(time.Since(start)))
			})
		}
		ended.Wait()
		if after != nil {
			after()
		}
		return time.Duration(sum.Load() / int64(goroutines) * int64(n) / int64(each))
	}
}

func (b *bench) goWake() {
	s := b.section("Go to Go: a notification that wakes a receiver",
		"Pairs of goroutines play ping-pong side by side, each selecting on its channel and on a stop channel. Both ways go by the same means. Of gnet's two pollers each has a goroutine in Polling, that is in epoll_wait; the functions that they run for a Trigger trigger the other one, so running is what receiving is elsewhere, and there is no channel. Time for one way, all pairs together.")
	t := s.table("pairs", "way", "one way", "quartiles", "notifier is")
	for _, pairs := range b.pick([]int{1, 4, 16, 64}, []int{1, 4}) {
		ways := []struct {
			name string
			pair func() game
		}{
			{nameNotifier, func() game {
				return pingPong(func() (func(), <-chan struct{}) {
					n := notifier.New()
					return func() { _ = n.Notify() }, n.C()
				})
			}},
			{nameSelect, func() game {
				return pingPong(func() (func(), <-chan struct{}) {
					c := make(chan struct{}, 1)
					return func() {
						select {
						case c <- struct{}{}:
						default:
						}
					}, c
				})
			}},
			{nameWaiter, func() game { return pingPong(newWaiter) }},
			{nameCond, condPingPong},
			{nameGnet, gnetPingPong},
		}
		if pairs > 1 {
			ways = ways[:4] // each of gnet's pollers keeps a thread
		}
		var list []contestant
		var games []game
		for _, w := range ways {
			mine := make([]game, pairs)
			for i := range mine {
				mine[i] = w.pair()
			}
			games = append(games, mine...)
			list = append(list, contestant{name: w.name, run: sideBySide(mine)})
		}
		scores := b.compete(fmt.Sprint("GoWake/pairs=", pairs), b.rounds(60), b.length(4*time.Millisecond), list)
		for _, g := range games {
			g.stop()
		}
		for _, sc := range scores {
			m := sc.spread()
			t.add(pairs, sc.name, duration(m.median), quartiles(m), ratio(scores[0].against(sc)))
		}
		if pairs == 1 {
			b.target("go-wake", scores[0].against(scores[1]))
		}
	}
}

// game is a pair that plays ping-pong: play does it there and back so many times. The
// partner stays for the next round, so that none begins with what is new.
type game struct {
	play func(rallies int)
	stop func()
}

// sideBySide returns a run of n ways, by all games together.
func sideBySide(games []game) func(n int) time.Duration {
	return func(n int) time.Duration {
		rallies := max(1, n/2/len(games))
		var playing sync.WaitGroup
		start := time.Now()
		for _, g := range games {
			playing.Go(func() { g.play(rallies) })
		}
		playing.Wait()
		return time.Duration(float64(time.Since(start)) * float64(n) / float64(2*rallies*len(games)))
	}
}

func pingPong(side func() (send func(), c <-chan struct{})) game {
	stopped, never := make(chan struct{}), make(chan struct{})
	sendPing, ping := side()
	sendPong, pong := side()
	go func() {
		for {
			select {
			case <-ping:
				sendPong()
			case <-stopped:
				return
			}
		}
	}()
	return game{func(rallies int) {
		for range rallies {
			sendPing()
			select {
			case <-pong:
			case <-never:
			}
		}
	}, func() { close(stopped) }}
}

func condPingPong() game {
	var mu sync.Mutex
	there, back := sync.NewCond(&mu), sync.NewCond(&mu)
	ball, stopped := false, false // ball: the partner has it
	go func() {
		mu.Lock()
		defer mu.Unlock()
		for {
			for !ball && !stopped {
				there.Wait()
			}
			if stopped {
				return
			}
			ball = false
			back.Signal()
		}
	}()
	return game{func(rallies int) {
		mu.Lock()
		defer mu.Unlock()
		for range rallies {
			ball = true
			there.Signal()
			for ball {
				back.Wait()
			}
		}
	}, func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		there.Signal()
	}}
}
