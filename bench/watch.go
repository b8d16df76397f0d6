package main

// This file measures Watch: many descriptors for one goroutine, an interest that
// changes, and what a Watcher weighs.

import (
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
)

const (
	nameGroup   = "chanadapter.Group"
	nameOwnSet  = "an epoll set of its own, in epoll_wait"
	nameReflect = "a Watcher each, reflect.Select"
	nameEach    = "a Watcher and a goroutine each"
	nameChange  = "Watcher.Change"
	nameModify  = "EPOLL_CTL_MOD"
)

func (b *bench) watch() {
	s := b.section("Descriptors: some ready of 900",
		"A goroutine signals k of 900 eventfds and waits until each has been read by whoever waits for it. Time for one of them, and CPU of the whole process, user and system, what signals and reads included.")
	t := s.table("k", "way", "time an event", "quartiles", "CPU an event", "the Group's time is", "the Group's CPU is")
	const fds = 900
	services := []*service{withGroup(fds), withOwnSet(fds), withReflect(fds), withGoroutines(fds)}
	for _, k := range b.pick([]int{1, 50}, []int{50}) {
		var byTime, byCPU []contestant
		for _, v := range services {
			byTime = append(byTime, contestant{name: v.name, run: func(n int) time.Duration {
				start := time.Now()
				return v.bursts(k, n, func() time.Duration { return time.Since(start) })
			}})
			byCPU = append(byCPU, contestant{name: v.name, run: func(n int) time.Duration {
				start := processCPU()
				return v.bursts(k, n, func() time.Duration { return processCPU() - start })
			}})
		}
		times := b.compete(fmt.Sprintf("Watch/k=%d", k), b.rounds(40), b.length(5*time.Millisecond), byTime)
		cpus := b.compete(fmt.Sprintf("WatchCPU/k=%d", k), b.rounds(40), b.length(20*time.Millisecond), byCPU)
		for i, sc := range times {
			m := sc.spread()
			t.add(k, sc.name, duration(m.median), quartiles(m), duration(cpus[i].spread().median), ratio(times[0].against(sc)), ratio(cpus[0].against(cpus[i])))
		}
		if k == 50 {
			b.target("group", cpus[0].against(find(cpus, nameReflect)))
			b.floor("group", find(cpus, nameOwnSet).against(find(cpus, nameReflect)))
		}
	}
	for _, v := range services {
		v.close()
	}
	b.change()
}

func (b *bench) change() {
	s := b.section("Descriptors: an interest that changes", "Time for one call, on an eventfd that is not ready.")
	fd := newEventFD(unix.EFD_NONBLOCK)
	w := must1(chanadapter.Watch(uintptr(fd)))
	set := must1(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}
	must(unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &event))
	change := func() { must(w.Change(chanadapter.Readable(), chanadapter.OneShot())) }
	scores := b.compete("Change", b.rounds(60), b.length(2*time.Millisecond), []contestant{
		{name: nameChange, run: each(change)},
		{name: nameModify, run: each(func() { must(unix.EpollCtl(set, unix.EPOLL_CTL_MOD, fd, &event)) })},
		{name: "Close and Watch", run: each(func() {
			must(w.Close())
			w = must1(chanadapter.Watch(uintptr(fd)))
		})},
	})
	t := s.table("way", "time", "quartiles", "Change is")
	for _, sc := range scores {
		m := sc.spread()
		t.add(sc.name, duration(m.median), quartiles(m), ratio(scores[0].against(sc)))
	}
	b.target("change", scores[0].against(find(scores, nameModify)))
	allocs := testing.AllocsPerRun(1000, change)
	b.target("change-allocs", spread{allocs, allocs, allocs})
	must(w.Close())
	must(unix.Close(set))
	must(unix.Close(fd))
}

// watcherPrices are what a Watcher weighs without its descriptor.
func watcherPrices() (alone, inGroup price) {
	v := newService("", 500)
	g := chanadapter.NewGroup()
	weighed := func(options ...chanadapter.Option) price {
		all := make([]*chanadapter.Watcher, 0, len(v.fds))
		each := weigh(len(v.fds), func() any {
			w := must1(chanadapter.Watch(uintptr(v.fds[len(all)]), options...))
			all = append(all, w)
			return w
		})
		closeAll(all)
		return each
	}
	weighed() // the first starts the goroutine
	defer v.shut(func() { must(g.Close()) })
	return weighed(), weighed(chanadapter.In(g))
}

// service is somebody who reads many eventfds, each when it is ready.
type service struct {
	name  string
	fds   []int
	next  int           // which is signalled next
	left  atomic.Int64  // how many of a burst have not been read
	done  chan struct{} // gets a token for the last
	close func()
}

func newService(name string, n int) *service {
	v := &service{name: name, fds: make([]int, n), done: make(chan struct{})}
	for i := range v.fds {
		v.fds[i] = newEventFD(unix.EFD_NONBLOCK)
	}
	return v
}

// shut closes the descriptors, after stop.
func (v *service) shut(stop func()) {
	stop()
	for _, fd := range v.fds {
		must(unix.Close(fd))
	}
}

// bursts signals n descriptors in bursts of k, and returns what elapsed says when all
// have been read, for n of them.
func (v *service) bursts(k, n int, elapsed func() time.Duration) time.Duration {
	bursts := max(1, n/k)
	for range bursts {
		v.left.Store(int64(k))
		for range k {
			v.next = (v.next + 7) % len(v.fds)
			must1(unix.Write(v.fds[v.next], eight))
		}
		<-v.done
	}
	return elapsed() * time.Duration(n) / time.Duration(bursts*k)
}

// serve reads the descriptor that is ready.
func (v *service) serve(i int) {
	var b [8]byte
	if n, _ := unix.Read(v.fds[i], b[:]); n == len(b) && v.left.Add(-1) == 0 {
		v.done <- struct{}{}
	}
}

func withGroup(n int) *service {
	v := newService(nameGroup, n)
	g := chanadapter.NewGroup()
	for i, fd := range v.fds {
		must1(chanadapter.Watch(uintptr(fd), chanadapter.In(g), chanadapter.WithValue(i)))
	}
	go func() {
		for {
			select {
			case <-g.C():
				for w := range g.Ready() {
					v.serve(w.Value().(int))
				}
			case <-g.Done():
				return
			}
		}
	}()
	v.close = func() { v.shut(func() { must(g.Close()) }) }
	return v
}

func withOwnSet(n int) *service {
	v := newService(nameOwnSet, n)
	quit := newEventFD(unix.EFD_NONBLOCK)
	set := must1(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	for i, fd := range append(v.fds[:n:n], quit) {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(i)}
		must(unix.EpollCtl(set, unix.EPOLL_CTL_ADD, fd, &event))
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		var events [128]unix.EpollEvent
		for {
			found, err := unix.EpollWait(set, events[:], -1)
			if err == unix.EINTR {
				continue
			}
			must(err)
			for _, e := range events[:found] {
				if int(e.Fd) == n {
					return
				}
				v.serve(int(e.Fd))
			}
		}
	}()
	v.close = func() {
		v.shut(func() {
			must1(unix.Write(quit, eight))
			<-exited
			must(unix.Close(set))
			must(unix.Close(quit))
		})
	}
	return v
}

// watchEach gives each descriptor a Watcher with a channel.
func (v *service) watchEach() []*chanadapter.Watcher {
	var all []*chanadapter.Watcher
	for _, fd := range v.fds {
		all = append(all, must1(chanadapter.Watch(uintptr(fd))))
	}
	return all
}

func withReflect(n int) *service {
	v := newService(nameReflect, n)
	all := v.watchEach()
	quit := make(chan struct{})
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(quit)}}
	for _, w := range all {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(w.C())})
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		for {
			i, _, _ := reflect.Select(cases)
			if i == 0 {
				return
			}
			v.serve(i - 1)
		}
	}()
	v.close = func() {
		v.shut(func() {
			close(quit)
			<-exited
			closeAll(all)
		})
	}
	return v
}

func withGoroutines(n int) *service {
	v := newService(nameEach, n)
	all := v.watchEach()
	var running sync.WaitGroup
	for i, w := range all {
		running.Go(func() {
			for {
				select {
				case <-w.C():
					v.serve(i)
				case <-w.Done():
					return
				}
			}
		})
	}
	v.close = func() {
		v.shut(func() {
			closeAll(all)
			running.Wait()
		})
	}
	return v
}

func closeAll(all []*chanadapter.Watcher) {
	for _, w := range all {
		must(w.Close())
	}
}
