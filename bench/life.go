package main

// This file measures what it costs to make a notifier, to give it a handle, and
// to close it.

import (
	"time"

	"github.com/wakechan/wakechan/notifier"
	"golang.org/x/sys/unix"
)

func (b *bench) life() {
	s := b.section("Make, first handle, close",
		"Time for one, many in a row. What foreign code can wake without a callback needs a handle; the rivals by hand need a descriptor, and a goroutine or thread, of their own.")
	p := must1(notifier.NewPoller())
	must1(must1(p.New()).Handle())
	scores := b.compete("Life", b.rounds(40), b.length(3*time.Millisecond), []contestant{
		{name: "notifier: New and Close", run: each(func() { must(must1(p.New()).Close()) })},
		{name: "notifier: New, Handle and Close", run: each(func() {
			n := must1(p.New())
			must1(n.Handle())
			must(n.Close())
		})},
		{name: "make(chan struct{}, 1)", run: each(func() { keep = make(chan struct{}, 1) })},
		{name: nameFile, run: each(func() { withFile().close() })},
		{name: namePipe, run: each(func() { withPipe().close() })},
		{name: "eventfd, opened and closed", run: each(func() { must(unix.Close(newEventFD(unix.EFD_NONBLOCK))) })},
		{name: nameThread, run: each(func() { withThread().close() })},
		{name: "a Poller of its own: NewPoller and Close", run: each(func() { must(must1(notifier.NewPoller()).Close()) })},
	})
	must(p.Close())
	t := s.table("what", "time", "quartiles", "notifier with a handle is")
	for _, sc := range scores {
		m := sc.spread()
		t.add(sc.name, duration(m.median), quartiles(m), ratio(scores[1].against(sc)))
	}
}

var keep chan struct{}

func each(f func()) func(n int) time.Duration {
	return func(n int) time.Duration {
		start := time.Now()
		for range n {
			f()
		}
		return time.Since(start)
	}
}
