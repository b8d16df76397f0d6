package main

// This file measures a foreign thread's call when a notification is pending
// already: what an engine pays for each event of a burst. Nobody receives, so the
// channel stays full; the poller still looks at the ready set and clears it.

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const nameWrite = "write(2) to an eventfd"

func (b *bench) redundant() {
	s := b.section("Foreign notify, already pending",
		"C threads call in a loop, each timed in C; nobody receives. Time for one call on one thread.")
	t := s.table("producers", "way", "time a call", "quartiles", "notifier is")
	for _, producers := range b.pick([]int{1, 2, 4, 8}, []int{1, 2}) {
		n, c, ch := withNotifier(nameNotifier), withCallback(), withCallbackHandle()
		fd := newEventFD(unix.EFD_NONBLOCK)
		scores := compete(b.rounds(60), b.length(4*time.Millisecond), []contestant{
			{name: nameNotifier, run: producersOf(n.way, n.target, producers)},
			{name: nameCallback, run: producersOf(c.way, c.target, producers)},
			{name: nameCallbackHandle, run: producersOf(ch.way, ch.target, producers)},
			{name: nameWrite, run: producersOf(wayEventFD, uint64(fd), producers)},
		})
		n.close()
		ch.close()
		must(unix.Close(fd))
		for _, sc := range scores {
			m := sc.spread()
			t.add(producers, sc.name, duration(m.median), quartiles(m), ratio(scores[0].against(sc)))
			s.plot(fmt.Sprint(producers), sc.name, m)
		}
		if producers == 1 {
			b.target("callback", scores[0].against(find(scores, nameCallback)))
			b.target("write", scores[0].against(find(scores, nameWrite)))
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
