package main

// This file measures wake-ups while every P has a goroutine that computes: the
// receiver needs a P, and one more of them than cores leaves it to the kernel.

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

func (b *bench) busy() {
	cores := runtime.NumCPU()
	s := b.section("Every core busy",
		fmt.Sprintf("%d goroutines compute without end, one for each core; a C thread ticks every 2 ms. \"Work\" is what the computing goroutines get done, against the same table's first row.", cores))
	t := s.table("GOMAXPROCS", "way", "p50", "p99", "max", "work", "notifier's p50 is")
	list := []arrangement{withNotifier(nameNotifier), withCallback(), withFile(), withThread()}
	var first spread
	for _, procs := range b.pick([]int{cores, cores + 1, cores + 2}, []int{cores, cores + 1}) {
		before := runtime.GOMAXPROCS(procs)
		var stop atomic.Bool
		work := make([]struct {
			done atomic.Uint64
			_    [56]byte
		}, cores)
		for i := range work {
			go func() {
				for !stop.Load() {
					x := uint64(1)
					for range 10000 {
						x = x*6364136223846793005 + 1442695040888963407
					}
					sink.Store(x)
					work[i].done.Add(1)
				}
			}()
		}
		total := func() (n uint64) {
			for i := range work {
				n += work[i].done.Load()
			}
			return n
		}
		all := make([][]float64, len(list))
		p50, speed := make([]score, len(list)), make([]score, len(list))
		left := maxDiscarded * len(list) * b.rounds(10)
		for range b.rounds(10) {
			for i, a := range list {
				var r sample
				var did float64
				undisturbed(&left, func() {
					began, start := total(), time.Now()
					r = a.ticks(max(10, int(b.length(200*time.Millisecond)/(2*time.Millisecond))), 2*time.Millisecond)
					did = float64(total()-began) / time.Since(start).Seconds()
				})
				v := floats(r.latencies)
				slices.Sort(v)
				p50[i].ns = append(p50[i].ns, quantile(v, 0.5))
				speed[i].ns = append(speed[i].ns, did)
				all[i] = append(all[i], v...)
			}
		}
		stop.Store(true)
		runtime.GOMAXPROCS(before)
		for i, a := range list {
			slices.Sort(all[i])
			if first.median == 0 {
				first = speed[i].spread()
			}
			t.add(procs, a.name, duration(quantile(all[i], 0.5)), duration(quantile(all[i], 0.99)), duration(quantile(all[i], 1)),
				fmt.Sprintf("%.0f%%", 100*speed[i].spread().median/first.median), ratio(p50[0].against(p50[i])))
			if i == 0 {
				s.curve(fmt.Sprintf("%s, GOMAXPROCS %d", a.name, procs), all[i])
			}
		}
	}
	for _, a := range list {
		a.close()
	}
	s.chart("busy", "Every core busy", "", "", shares)
}

var sink atomic.Uint64
