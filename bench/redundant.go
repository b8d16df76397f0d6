package main

// This file measures a foreign thread's call when a notification is pending
// already: what an engine pays for each event of a burst. Nobody receives, so the
// channel stays full; the poller still looks at the ready set and clears it.

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	nameWrite = "write(2) to an eventfd"
	nameFence = "a full fence and nothing else"
)

func (b *bench) redundant() {
	s := b.section("Foreign notify, already pending",
		"C threads call in a loop, each timed in C; nobody receives. Time for one call on one thread. The fence is the floor: no notification may do without one (docs/protocol.md). "+loopNote())
	t := s.table("producers", "way", "time a call", "quartiles", "notifier is")
	for _, producers := range b.pick([]int{1, 2, 4, 8}, []int{1, 2}) {
		n, c, ch := withNotifier(nameNotifier), withCallback(), withCallbackHandle()
		f, bound, pure := withFunction(), withBound(), withPurego()
		fd := newEventFD(unix.EFD_NONBLOCK)
		list := []contestant{
			{name: nameNotifier, run: producersOf(n.way, n.target, producers)},
			{name: nameCallback, run: producersOf(c.way, c.target, producers)},
			{name: nameCallbackHandle, run: producersOf(ch.way, ch.target, producers)},
			{name: nameWrite, run: producersOf(wayEventFD, uint64(fd), producers)},
			{name: nameFence, run: producersOf(wayFence, 0, producers)},
			{name: nameFunction, run: producersOf(f.way, f.target, producers)},
			{name: nameBound, run: producersOf(bound.way, bound.target, producers)},
			{name: namePurego, run: producersOf(pure.way, pure.target, producers)},
		}
		var closers []func()
		for _, l := range loopLibraries() {
			if producers == 1 {
				asleep := l.loop(1, false)
				closers = append(closers, func() { closeLoop(asleep) })
				list = append(list, contestant{name: l.name + ", loop not running", run: loopSends(asleep, producers)})
			}
			running := l.loop(1, true)
			closers = append(closers, func() { closeLoop(running) })
			list = append(list, contestant{name: l.name, run: loopSends(running, producers)})
		}
		scores := b.compete(fmt.Sprint("Redundant/producers=", producers), b.rounds(120), b.length(2*time.Millisecond), list)
		for _, f := range closers {
			f()
		}
		for _, a := range []arrangement{n, ch, f, bound, pure} {
			a.close()
		}
		must(unix.Close(fd))
		for i, sc := range scores {
			m := sc.spread()
			if i < 8 {
				s.plot(fmt.Sprint(producers), sc.name, m)
			}
			t.add(producers, sc.name, duration(m.median), quartiles(m), ratio(scores[0].against(sc)))
		}
		if producers == 1 {
			function := find(scores, nameFunction)
			b.target("function", function.against(scores[0]))
			b.target("bound", find(scores, nameBound).against(scores[0]))
			b.target("function-purego", function.against(find(scores, namePurego)))
			fence := find(scores, nameFence)
			for key, rival := range map[string]string{"callback": nameCallback, "write": nameWrite} {
				b.target(key, scores[0].against(find(scores, rival)))
				b.floor(key, fence.against(find(scores, rival)))
			}
		}
	}
	s.chart("redundant", "A call when one is pending", "producers", "ns a call", lines)
}

// producersOf returns a run in which so many threads make n calls each. Its time
// is the mean of theirs.
func producersOf(w way, target uint64, producers int) func(n int) time.Duration {
	return func(n int) time.Duration {
		bar := newBarrier(producers)
		jobs := make([]*job, producers)
		for i := range jobs {
			// The first call of a thread is not what is measured: a callback's has to
			// find an M, the notifier's may ring.
			jobs[i] = newJob(jobRedundant, w, target, n, 64)
			jobs[i].c.barrier = bar.c
			jobs[i].start()
		}
		var sum time.Duration
		for _, j := range jobs {
			j.wait()
			sum += j.elapsed()
			j.free()
		}
		bar.free()
		return sum / time.Duration(producers)
	}
}
