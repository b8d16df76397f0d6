package main

// This file measures the busy round trip: C thread -> goroutine -> C thread, as
// fast as it goes. All contestants answer alike: the goroutine writes to an
// eventfd, and the C thread sleeps in epoll_wait until then; so only the way to
// the goroutine differs. In the floors a second C thread stands for the
// goroutine.

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/notifier"
)

func (b *bench) roundTrip() {
	s := b.section("Round trip C thread -> goroutine -> C thread, back to back",
		"The goroutine selects on a channel and a context, and answers by write(2) to an eventfd; the C thread waits for that in epoll_wait, in all rows but the futex one. The thread that spins takes no time to see the call: what is left is the way back, the same for all that is not on the caller's processor. The goroutine that looks at one word, and sends to another that selects and answers, is the floor for whoever receives from a channel. Time for one round trip, after 50 for warming up.")
	list := []arrangement{
		withNotifier(nameNotifier), withNotifier(nameNoLinger, noLinger), withNotifier(namePipeBackend, notifier.WithBackend("pipe")), withEventFD(), withCallback(), withCallbackHandle(),
		withFile(), withPipe(), withThread(), withGvisorEventFD(),
	}
	contestants := []contestant{{name: nameEpoll, run: twoThreads}, {name: nameFutex, run: twoThreadsFutex}, {name: nameSpin, run: spinner}}
	reply := newEventFD(0)
	contestants = append(contestants, contestant{name: nameLooking, run: lookingGoroutine(reply)})
	for _, a := range list {
		contestants = append(contestants, contestant{name: a.name, run: a.roundTrips(reply)})
	}
	for _, l := range loopLibraries() {
		c := l.loop(1, true)
		defer closeLoop(c)
		contestants = append(contestants, contestant{name: l.name + ", two C threads", run: loopRoundTrips(c)})
	}
	scores := b.compete("RoundTrip", b.rounds(60), b.length(5*time.Millisecond), contestants)
	for _, a := range list {
		a.close()
	}
	must(unix.Close(reply))
	base := find(scores, nameEpoll)
	t := s.table("way", "round trip", "quartiles", "against two C threads with epoll", "notifier is")
	for _, sc := range scores {
		m := sc.spread()
		t.add(sc.name, duration(m.median), quartiles(m), ratio(sc.against(base)), ratio(find(scores, nameNotifier).against(sc)))
		s.plot("", sc.name, m)
	}
	for key, rival := range map[string]score{"roundtrip-epoll": base, "roundtrip-callback": find(scores, nameCallback)} {
		b.target(key, find(scores, nameNotifier).against(rival))
		b.floor(key, find(scores, nameLooking).against(rival))
	}
	s.chart("roundtrip", "Round trip, back to back", "", "ns", bars)
}

const warmUp = 50

// roundTrips returns a run of n round trips through a.
func (a arrangement) roundTrips(reply int) func(n int) time.Duration {
	return func(n int) time.Duration {
		j := newJob(jobRoundTrip, a.way, a.target, n, warmUp)
		j.setReply(reply)
		ctx, stop := context.WithCancel(context.Background())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for a.receive(ctx) {
				_, _ = unix.Write(reply, eight)
			}
		}()
		j.start()
		j.wait()
		stop()
		<-stopped
		defer j.free()
		return j.elapsed()
	}
}

func twoThreads(n int) time.Duration {
	there, back := newEventFD(0), newEventFD(0)
	j := newJob(jobRoundTrip, wayEventFD, uint64(there), n, warmUp)
	j.setReply(back)
	partner := newJob(jobAnswer, wayEventFD, 0, n, warmUp)
	partner.setReply(back)
	partner.setWait(there)
	took := pair(j, partner)
	must(unix.Close(there))
	must(unix.Close(back))
	return took
}

func twoThreadsFutex(n int) time.Duration {
	words := cNumbers(16)
	there, back := unsafe.Pointer(&words[0]), unsafe.Pointer(&words[8])
	j := newJob(jobRoundTrip, wayFutex, uint64(uintptr(there)), n, warmUp)
	partner := newJob(jobAnswer, wayFutex, 0, n, warmUp)
	j.setFutexes(nil, back)
	partner.setFutexes(there, back)
	took := pair(j, partner)
	freeNumbers(words)
	return took
}

// spinner is the floor for whoever answers from another processor: the partner
// does nothing but look, so that only its write and the caller's waking are left.
func spinner(n int) time.Duration {
	words, back := cNumbers(16), newEventFD(0)
	there := unsafe.Pointer(&words[0])
	j := newJob(jobRoundTrip, waySpin, uint64(uintptr(there)), n, warmUp)
	j.setReply(back)
	partner := newJob(jobAnswer, waySpin, 0, n, warmUp)
	partner.setFutexes(there, nil)
	partner.setReply(back)
	took := pair(j, partner)
	must(unix.Close(back))
	freeNumbers(words)
	return took
}

// lookingGoroutine is the floor for whoever answers from a goroutine that selects on a
// channel: another one does nothing but look at a single word, and send.
func lookingGoroutine(reply int) func(n int) time.Duration {
	return func(n int) time.Duration {
		words := cNumbers(16)
		word := (*uint32)(unsafe.Pointer(&words[0]))
		c := make(chan struct{}, 1)
		var stop atomic.Bool
		var looking sync.WaitGroup
		looking.Go(func() {
			for seen := uint32(0); !stop.Load(); runtime.Gosched() { // to let the other run
				if now := atomic.LoadUint32(word); now != seen {
					seen = now
					c <- struct{}{}
				}
			}
		})
		a := arrangement{way: waySpin, target: uint64(uintptr(unsafe.Pointer(word))), c: c}
		took := a.roundTrips(reply)(n)
		stop.Store(true)
		looking.Wait()
		freeNumbers(words)
		return took
	}
}

func pair(j, partner *job) time.Duration {
	partner.start()
	j.start()
	j.wait()
	partner.wait()
	took := j.elapsed()
	j.free()
	partner.free()
	return took
}
