package main

// This file measures what a wake-up costs when there are many notifiers, and
// what a notifier costs that does nothing.

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

// crowd is a poller with n notifiers.
type crowd struct {
	p         *notifier.Poller
	notifiers []*notifier.Notifier
	handles   []uint64
}

func newCrowd(n int) *crowd {
	c := &crowd{p: must1(notifier.NewPoller())}
	for range n {
		x := must1(c.p.New())
		c.notifiers = append(c.notifiers, x)
		c.handles = append(c.handles, uint64(must1(x.Handle())))
	}
	return c
}

// thinned closes all but n of c's notifiers: what is left lies as far apart in the
// ready set as those of a large crowd do.
func (c *crowd) thinned(n int) *crowd {
	left := &crowd{p: c.p}
	for at, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(c.handles)) {
		if at < n {
			left.notifiers = append(left.notifiers, c.notifiers[i])
			left.handles = append(left.handles, c.handles[i])
		} else {
			must(c.notifiers[i].Close())
		}
	}
	return left
}

// nameSparse is a crowd that was thinned.
const nameSparse = "those left of 100,000"

// bursts returns a run of bursts that notify k of c and wait until each of them
// has its token; n counts wake-ups. Which ones is settled beforehand, spread over
// all; with others each burst has others.
func (c *crowd) bursts(k int, others bool) func(n int) time.Duration {
	sets := 1
	if others {
		sets = max(1, min(len(c.handles)/k, 64))
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(c.handles))
	targets := make([][]uint64, sets)
	channels := make([][]<-chan struct{}, sets)
	for s := range sets {
		for _, i := range order[s*k : s*k+k] {
			targets[s] = append(targets[s], c.handles[i])
			channels[s] = append(channels[s], c.notifiers[i].C())
		}
	}
	round := 0
	return func(n int) time.Duration {
		start := time.Now()
		for range max(1, n/k) {
			s := round % sets
			round++
			burst(wayNotifier, targets[s])
			for _, ch := range channels[s] {
				<-ch
			}
		}
		return time.Since(start) * time.Duration(n) / time.Duration(max(1, n/k)*k)
	}
}

func (b *bench) many() {
	s := b.section("Bursts: k of N notifiers",
		"A C call notifies k notifiers of one poller that has N with handles; a goroutine receives from all k. Time for one delivered wake-up. \"the same k\": a few active among many idle ones. \"others\": each burst takes others, so that with a large N everything comes from memory instead of a cache. \"those left of 100,000\": all others were closed; so what N alone costs and what it costs that the ready bits lie apart can be told from each other.")
	t := s.table("k", "N", "which", "time a wake-up", "quartiles", "against the least N", "notifier is")
	sizes := b.pick([]int{10, 100, 1000, 10_000, 100_000, 1_000_000}, []int{100, 100_000})
	crowds := make([]*crowd, len(sizes))
	for i, n := range sizes {
		crowds[i] = newCrowd(n)
	}
	sparse := newCrowd(100_000).thinned(100)
	for _, others := range []bool{false, true} {
		for _, k := range b.pick([]int{1, 10, 100, 1000}, []int{10}) {
			var list []contestant
			var of []int
			for i, c := range crowds {
				if sizes[i] >= k && (!others || sizes[i] > k) {
					list = append(list, contestant{name: strconv.Itoa(sizes[i]), run: c.bursts(k, others)})
					of = append(of, sizes[i])
				}
			}
			if k == 10 && !others {
				list = append(list, contestant{name: nameSparse, run: sparse.bursts(k, others)})
				of = append(of, len(sparse.handles))
			}
			which := "the same k"
			if others {
				which = "others"
			}
			scores := b.compete(fmt.Sprintf("Many/k=%d/which=%s", k, benchmarkName.Replace(which)), b.rounds(60), b.length(3*time.Millisecond), list)
			for i, sc := range scores {
				m := sc.spread()
				kind := which
				if sc.name == nameSparse {
					kind = nameSparse
				}
				t.add(k, of[i], kind, duration(m.median), quartiles(m), ratio(sc.against(scores[0])), "")
				if !others && kind == which {
					s.plot(sc.name, fmt.Sprintf("k = %d", k), m)
				}
			}
			if k == 10 && !others {
				b.target("many", find(scores, "100000").against(find(scores, "100")))
				b.floor("many", find(scores, nameSparse).against(find(scores, "100")))
			}
		}
	}
	b.manyLoops(s, t, sizes, crowds)
	for _, c := range append(crowds, sparse) {
		must(c.p.Close())
	}
	s.chart("many", "A delivered wake-up, k of N notifiers", "N", "ns a wake-up", lines)
}

// manyLoops does the same with event loops of C, which look at all their handles.
func (b *bench) manyLoops(s *section, t *table, sizes []int, crowds []*crowd) {
	const k = 10
	for _, l := range loopLibraries() {
		var list []contestant
		var of []int
		for i, n := range sizes {
			if n < 100 || n > 100_000 {
				continue
			}
			c := l.loop(n, true)
			defer closeLoop(c)
			config := fmt.Sprint("N=", n)
			list = append(list, contestant{l.name, config, loopBursts(c, k)}, contestant{nameNotifier, config, crowds[i].bursts(k, false)})
			of = append(of, n, n)
		}
		scores := b.compete(fmt.Sprintf("ManyLoops/k=%d/against=%s", k, l.name[:5]), b.rounds(30), b.length(3*time.Millisecond), list)
		for i := 0; i < len(scores); i += 2 {
			m := scores[i].spread()
			t.add(k, of[i], l.name, duration(m.median), quartiles(m), ratio(scores[i].against(scores[0])), ratio(scores[i+1].against(scores[i])))
			s.plot(strconv.Itoa(of[i]), fmt.Sprintf("k = %d, %s", k, l.name), m)
		}
	}
}

// cost measures what idle things weigh.
func (b *bench) cost() {
	s := b.section("What an idle one costs",
		"Each made many times and left alone; C's loops once, with many handles. Memory is the Go heap and stacks, and for C's handles their sizeof, with libev's pointer to each; the notifier's shared memory, counted by the kernel, is beside it. What a descriptor and a thread cost in the kernel is not counted.")
	t := s.table("what", "bytes", "shared memory", "descriptors", "goroutines", "threads")
	n := b.pick([]int{100_000}, []int{20_000})[0]
	p := must1(notifier.NewPoller())
	must1(must1(p.New()).Handle()) // the first one starts the goroutine
	withHandle := weigh(n, func() any { n := must1(p.New()); must1(n.Handle()); return n })
	type row struct {
		name string
		price
	}
	rows := []row{
		{"notifier with a handle", withHandle},
		{"notifier without", weigh(n, func() any { return notifier.New() })},
		{"make(chan struct{}, 1)", weigh(n, func() any { return make(chan struct{}, 1) })},
	}
	must(p.Close())
	for _, a := range []struct {
		n    int
		make func() arrangement
	}{
		{n, withCallbackHandle}, {500, withFile}, {500, withPipe}, {500, withEventFD}, {50, withThread}, {50, withGvisorEventFD},
	} {
		made := make([]arrangement, 0, a.n) // before it counts
		each := weigh(a.n, func() any { made = append(made, a.make()); return nil })
		rows = append(rows, row{made[0].name, each})
		for _, m := range made {
			m.close()
		}
	}
	for _, l := range loopLibraries() {
		before := census()
		c := l.loop(n, true)
		each := priceOf(before, census(), n)
		each.memory += l.handleSize()
		rows = append(rows, row{l.name + ", handles of one loop", each})
		closeLoop(c)
	}
	alone, inGroup := watcherPrices()
	rows = append(rows, row{"Watcher with a channel, without its descriptor", alone}, row{"Watcher in a Group, without its descriptor", inGroup})
	for _, r := range rows {
		t.add(r.name, fmt.Sprintf("%.0f", r.memory), fmt.Sprintf("%.0f", r.shared), fmt.Sprintf("%.2f", r.descriptors),
			fmt.Sprintf("%.2f", r.goroutines), fmt.Sprintf("%.2f", r.threads))
	}
	total := withHandle.memory + withHandle.shared
	b.target("memory", spread{total, total, total})
	of := inGroup.memory / alone.memory
	b.target("watcher", spread{of, of, of})
	// The runtime starts a thread now and then.
	other := math.Round(100*(withHandle.descriptors+withHandle.threads)) / 100
	b.target("descriptors", spread{other, other, other})
}

// price is what one thing weighs.
type price struct{ memory, shared, descriptors, goroutines, threads float64 }

func priceOf(before, after counts, n int) price {
	each := func(a, b int64) float64 { return float64(a-b) / float64(n) }
	return price{each(after.memory, before.memory), each(after.outside, before.outside), each(after.descriptors, before.descriptors),
		each(after.goroutines, before.goroutines), each(after.threads, before.threads)}
}

func weigh(n int, make_ func() any) price {
	keep := make([]any, n)
	before := census()
	for i := range n {
		keep[i] = make_()
	}
	after := census()
	runtime.KeepAlive(keep)
	return priceOf(before, after, n)
}

type counts struct{ memory, outside, descriptors, goroutines, threads int64 }

func census() counts {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	list := must1(os.ReadDir("/proc/self/fd"))
	return counts{
		memory:      int64(m.HeapAlloc + m.StackInuse),
		outside:     blockResident(),
		descriptors: int64(len(list)),
		goroutines:  int64(runtime.NumGoroutine()),
		threads:     statusField("Threads:"),
	}
}

func statusField(name string) int64 {
	for _, line := range bytes.Split(must1(os.ReadFile("/proc/self/status")), []byte("\n")) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == name {
			return must1(strconv.ParseInt(string(f[1]), 10, 64))
		}
	}
	panic("no " + name)
}

// blockResident is how much of the pollers' blocks has been touched: mappings
// that are wiped on fork (the flag wf in proc(5)).
func blockResident() int64 {
	var sum, rss int64
	for _, line := range bytes.Split(must1(os.ReadFile("/proc/self/smaps")), []byte("\n")) {
		f := bytes.Fields(line)
		switch {
		case len(f) > 1 && string(f[0]) == "Rss:":
			rss = must1(strconv.ParseInt(string(f[1]), 10, 64)) << 10
		case len(f) > 1 && string(f[0]) == "VmFlags:":
			for _, flag := range f[1:] {
				if string(flag) == "wf" {
					sum += rss
				}
			}
		}
	}
	return sum
}
