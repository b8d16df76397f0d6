package main

// This file measures the cold wake-up: a source that ticks seldom, so that
// everybody has gone to sleep in between. The latency is from a stamp that the C
// thread takes before it notifies to the first thing that the goroutine does;
// each tick counts, also those that a late goroutine finds together.

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/notifier"
)

// sample is what one round of ticks gave.
type sample struct {
	latencies []int64
	cpu       time.Duration // of the whole process
}

type coldScore struct {
	name    string
	all     []float64 // every latency, sorted
	p50     score     // by round
	cpu     score     // a tick, by round
	through func(n int, period time.Duration) sample
}

func (b *bench) cold() {
	for _, rate := range b.pick([]int{100, 1000, 10000}, []int{1000}) {
		s := b.section(fmt.Sprintf("Cold wake-up, %d a second", rate),
			"From a stamp in C before the call to the goroutine's first statement, over all rounds; the ratios are medians of each round's. CPU is the whole process's, user and system, for one tick, the ticking thread's share (the same for all) included. Fewer than 1,000 ticks have no p99.9.")
		list := []arrangement{
			withNotifier(nameNotifier), withNotifier(nameNoLinger, noLinger), withNotifier(namePipeBackend, notifier.WithBackend("pipe")), withCallback(), withFunction(), withBound(), withPurego(), withFile(), withPipe(), withThread(), withGvisorEventFD(), withEventFD(), withRead(),
		}
		var scores []*coldScore
		for _, a := range list {
			scores = append(scores, &coldScore{name: a.name, through: a.ticks})
		}
		scores = append(scores,
			&coldScore{name: nameEpoll, through: ticksToThread},
			&coldScore{name: nameFutex, through: ticksToFutex})
		for _, l := range loopLibraries() {
			c := l.loop(1, true)
			list = append(list, arrangement{close: func() { closeLoop(c) }})
			scores = append(scores, &coldScore{name: l.name + ", two C threads", through: loopTicks(c)})
		}
		period := time.Second / time.Duration(rate)
		n := max(8, int(b.length(100*time.Millisecond)/period))
		if !b.quick {
			n = max(n, 1000/40) // so that all rounds together have a p99.9
		}
		samples := make([]sample, len(scores))
		left := maxDiscarded * len(scores) * b.rounds(40)
		for round := range b.rounds(40) {
			for k := range scores {
				i := (k + round) % len(scores)
				undisturbed(&left, func() { samples[i] = scores[i].through(n, period) })
			}
			for i, sc := range scores {
				r := samples[i]
				sorted := floats(r.latencies)
				slices.Sort(sorted)
				sc.p50.ns = append(sc.p50.ns, quantile(sorted, 0.5))
				sc.cpu.ns = append(sc.cpu.ns, float64(r.cpu)/float64(n))
				sc.all = append(sc.all, sorted...)
			}
		}
		t := s.table("way", "p50", "p99", "p99.9", "max", "CPU a tick", "notifier's p50 is", "notifier's CPU is")
		for _, sc := range scores {
			slices.Sort(sc.all)
			t.add(sc.name, duration(quantile(sc.all, 0.5)), duration(quantile(sc.all, 0.99)), duration(perMille(sc.all)),
				duration(quantile(sc.all, 1)), duration(sc.cpu.spread().median),
				ratio(scores[0].p50.against(sc.p50)), ratio(scores[0].cpu.against(sc.cpu)))
			s.curve(sc.name, sc.all)
		}
		if rate == 1000 {
			b.target("cold", scores[0].p50.against(named(scores, nameFile).p50))
			b.target("cold-eventfd", named(scores, nameEventFD).p50.against(named(scores, nameCallback).p50))
			b.floor("cold-eventfd", named(scores, nameRead).p50.against(named(scores, nameCallback).p50))
			b.target("cold-function", named(scores, nameFunction).p50.against(scores[0].p50))
			b.target("cold-cpu", scores[0].cpu.against(scores[1].cpu))
		}
		s.chart(fmt.Sprintf("cold-%d", rate), fmt.Sprintf("Cold wake-up, %d a second", rate), "", "", shares)
		for _, a := range list {
			a.close()
		}
	}
}

// ticks lets a C thread tick n times and a goroutine select.
func (a arrangement) ticks(n int, period time.Duration) sample {
	stamps, sent := cNumbers(n), cNumbers(1)
	j := newJob(jobCold, a.way, a.target, n, 0)
	j.setStamps(stamps)
	j.setSent(sent)
	j.setPeriod(period)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	result := make(chan sample)
	go func() {
		var s sample
		s.latencies = make([]int64, 0, n)
		select {
		case <-a.c: // left over from the last round
		default:
		}
		began := processCPU()
		j.start()
		for len(s.latencies) < n {
			a.receive(ctx)
			now := foreignClock()
			for i := sentCount(sent); len(s.latencies) < i; {
				s.latencies = append(s.latencies, now-atomic.LoadInt64(&stamps[len(s.latencies)]))
			}
		}
		s.cpu = processCPU() - began
		result <- s
	}()
	s := <-result
	j.wait()
	j.free()
	freeNumbers(stamps)
	freeNumbers(sent)
	return s
}

func ticksToThread(n int, period time.Duration) sample {
	fd := newEventFD(0)
	j := newJob(jobCold, wayEventFD, uint64(fd), n, 0)
	see := newJob(jobSee, wayEventFD, 0, n, 0)
	see.setWait(fd)
	s := ticksTo(j, see, n, period)
	must(unix.Close(fd))
	return s
}

func ticksToFutex(n int, period time.Duration) sample {
	word := cNumbers(1)
	j := newJob(jobCold, wayFutex, uint64(uintptr(unsafe.Pointer(&word[0]))), n, 0)
	see := newJob(jobSee, wayFutex, 0, n, 0)
	see.setFutexes(unsafe.Pointer(&word[0]), nil)
	s := ticksTo(j, see, n, period)
	freeNumbers(word)
	return s
}

func ticksTo(j, see *job, n int, period time.Duration) sample {
	stamps, seen, sent := cNumbers(n), cNumbers(n), cNumbers(1)
	j.setStamps(stamps)
	j.setSent(sent)
	j.setPeriod(period)
	see.setStamps(seen)
	see.setSent(sent)
	see.setSentStamps(stamps)
	began := processCPU()
	see.start()
	j.start()
	j.wait()
	see.wait()
	s := sample{latencies: slices.Clone(seen), cpu: processCPU() - began}
	j.free()
	see.free()
	freeNumbers(stamps)
	freeNumbers(seen)
	freeNumbers(sent)
	return s
}

func floats(v []int64) []float64 {
	f := make([]float64, len(v))
	for i := range v {
		f[i] = float64(v[i])
	}
	return f
}

func named(scores []*coldScore, name string) *coldScore {
	for _, s := range scores {
		if s.name == name {
			return s
		}
	}
	panic("no contestant " + name)
}
