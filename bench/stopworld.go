package main

// This file measures the producer's own calls while the runtime keeps stopping
// the world: an engine's thread must not pay for Go's garbage.

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

const stopsNote = "runtime.ReadMemStats has the world stopped most of the time. runtime.GC and debug.FreeOSMemory stop it for a small part of theirs, so that fewer than one callback in 100 meets a stop: it is p99.9 that tells there, and p99 says little. "

func (b *bench) stopWorld() {
	s := b.section("The producer's call while the world stops",
		"A C thread calls every 50 µs, a goroutine receives, and another one does nothing but what the first column says, with 32 MB of live pointers. Time of a single call, in C. "+stopsNote+realTime())
	t := s.table("meanwhile", "way", "p50", "p99", "p99.9", "max", "notifier's p99 is")
	heap := newGarbage(32 << 20)
	for _, m := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() { time.Sleep(time.Millisecond) }},
		{"runtime.GC", runtime.GC},
		{"runtime.ReadMemStats", func() { var m runtime.MemStats; runtime.ReadMemStats(&m) }},
		{"debug.FreeOSMemory", debug.FreeOSMemory},
	} {
		list := []arrangement{withNotifier(nameNotifier), withCallback(), withFile()}
		var calls []timedCall
		for _, a := range list {
			name := a.name
			if name == nameFile {
				name = nameWrite
			}
			calls = append(calls, timedCall{name, func(n int) []float64 { return a.timedCalls(n, m.do) }})
		}
		p99 := b.whileTheWorldStops(t, m.name, calls)
		if m.name == "runtime.ReadMemStats" { // stopped most of the time
			b.target("stopworld", p99[0].against(p99[1]))
		}
		for _, a := range list {
			a.close()
		}
	}
	runtime.KeepAlive(heap)
}

// timedCall is a way to make n calls, a callPeriod apart, that returns how long each
// took.
type timedCall struct {
	name string
	run  func(n int) []float64
}

// whileTheWorldStops lets the ways take turns, and adds a row for each to t. It
// returns their p99 by round.
func (b *bench) whileTheWorldStops(t *table, meanwhile string, list []timedCall) []score {
	all := make([][]float64, len(list))
	p99 := make([]score, len(list))
	row := make([][]float64, len(list))
	left := maxDiscarded * len(list) * b.rounds(15)
	for range b.rounds(15) {
		for i, c := range list {
			undisturbed(&left, func() { row[i] = c.run(max(200, int(b.length(40*time.Millisecond)/callPeriod))) })
			slices.Sort(row[i])
		}
		for i, v := range row {
			p99[i].ns = append(p99[i].ns, quantile(v, 0.99))
			all[i] = append(all[i], v...)
		}
	}
	for i, c := range list {
		slices.Sort(all[i])
		t.add(meanwhile, c.name, duration(quantile(all[i], 0.5)), duration(quantile(all[i], 0.99)), duration(perMille(all[i])),
			duration(quantile(all[i], 1)), ratio(p99[0].against(p99[i])))
	}
	return p99
}

const callPeriod = 50 * time.Microsecond

// timedCalls has a C thread call n times while meanwhile runs in a loop, and
// returns how long each call took.
func (a arrangement) timedCalls(n int, meanwhile func()) []float64 {
	stamps := cNumbers(n)
	j := newJob(jobTimed, a.way, a.target, n, 64)
	j.setStamps(stamps)
	j.setPeriod(callPeriod)
	stop := make(chan struct{})
	ended := make(chan struct{}, 2)
	go func() {
		for {
			select {
			case <-a.c:
			case <-stop:
				ended <- struct{}{}
				return
			}
		}
	}()
	go func() {
		for {
			select {
			case <-stop:
				ended <- struct{}{}
				return
			default:
				meanwhile()
			}
		}
	}()
	j.start()
	j.wait()
	close(stop)
	<-ended
	<-ended
	v := floats(stamps)
	j.free()
	freeNumbers(stamps)
	return v
}

type cell struct {
	next *cell
	_    [5]uintptr
}

// newGarbage returns a list of about so many bytes.
func newGarbage(size int) *cell {
	var head *cell
	for range size / 48 {
		head = &cell{next: head}
	}
	return head
}
