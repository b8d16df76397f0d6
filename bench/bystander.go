package main

// This file measures what lingering costs those who have nothing to do with it: a
// goroutine that reads from a socket, and the process's CPU while nobody receives.

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/ring"
)

// neighbour is a way to wake goroutines all the time.
type neighbour struct {
	name  string
	calm  int // the index of the one that does the same without lingering
	run   func(n int, period time.Duration)
	close func()
}

func (b *bench) bystander() {
	cores := runtime.NumCPU()
	const every, apart = 50 * time.Microsecond, time.Millisecond
	s := b.section("A bystander",
		fmt.Sprintf("A C thread writes a byte to a socket every %v, and a goroutine reads it; the latency is from a stamp before the write to the goroutine's first statement. Meanwhile another C thread notifies, or pushes a record of 32 bytes, every %v, and another goroutine receives. With a busy goroutine, that one computes without end.", apart, every))
	t := s.table("GOMAXPROCS", "busy goroutines", "meanwhile", "p50", "p90", "p99", "p50 against no lingering", "p90 against no lingering")
	// Beside a busy goroutine the latency is that of one of two places where the kernel has
	// put the threads, 8 µs or 25, and stays so for a round: more rounds, shorter ones.
	for _, world := range []struct {
		procs, busy, rounds int
		length              time.Duration
	}{{1, 0, 20, 200 * time.Millisecond}, {cores, 1, 100, 60 * time.Millisecond}} {
		before := runtime.GOMAXPROCS(world.procs)
		socket := withSocket()
		list := []neighbour{
			{name: "nothing", run: func(n int, d time.Duration) { time.Sleep(time.Duration(n) * d) }, close: func() {}},
			notifies(withNotifier(nameNoLinger, noLinger), 1), notifies(withNotifier(nameNotifier), 1),
			pushes(nameRing+", WithLinger(0)", 3, ring.WithLinger(0)), pushes(nameRing, 3),
		}
		stop := compute(world.busy)
		all := make([][]float64, len(list))
		p50, p90 := make([]score, len(list)), make([]score, len(list))
		left := maxDiscarded * b.rounds(world.rounds)
		length := b.length(world.length)
		row := make([][]float64, len(list))
		for round := range b.rounds(world.rounds) {
			undisturbed(&left, func() {
				for k := range list {
					i := (k + round) % len(list)
					var side sync.WaitGroup
					side.Go(func() { list[i].run(int(length/every), every) })
					row[i] = floats(socket.ticks(int(length/apart), apart).latencies)
					side.Wait()
				}
			})
			for i, v := range row {
				slices.Sort(v)
				p50[i].ns = append(p50[i].ns, quantile(v, 0.5))
				p90[i].ns = append(p90[i].ns, quantile(v, 0.9))
				all[i] = append(all[i], v...)
			}
		}
		stop()
		for i, n := range list {
			slices.Sort(all[i])
			calm50, calm90 := p50[i].against(p50[n.calm]), p90[i].against(p90[n.calm])
			t.add(world.procs, world.busy, n.name, duration(quantile(all[i], 0.5)), duration(quantile(all[i], 0.9)), duration(quantile(all[i], 0.99)),
				ratio(calm50), ratio(calm90))
			key := map[string]string{nameNotifier: "bystander", nameRing: "bystander-ring"}[n.name]
			if key != "" {
				if world.busy > 0 {
					key += "-busy"
				}
				b.target(key+"-p50", calm50)
				b.target(key+"-p90", calm90)
			}
			n.close()
		}
		socket.close()
		runtime.GOMAXPROCS(before)
	}
}

// nobody measures the process's CPU while a source notifies and no goroutine receives.
func (b *bench) nobody() {
	s := b.section("Notifications for nobody",
		"A C thread notifies at a steady pace, and nobody receives, so that the channel stays full. CPU is the whole process's for one notification, the calling thread's share (the same for both) included.")
	t := s.table("every", "way", "CPU a notification", "quartiles", "against no lingering")
	var total score
	for _, period := range []time.Duration{50 * time.Microsecond, 70 * time.Microsecond, 90 * time.Microsecond} {
		list := []arrangement{withNotifier(nameNoLinger, noLinger), withNotifier(nameNotifier)}
		n := max(8, int(b.length(50*time.Millisecond)/period))
		scores := make([]score, len(list))
		row := make([]float64, len(list))
		repeat(b.rounds(40), func(round int) {
			for k := range list {
				i := (k + round) % len(list)
				began := processCPU()
				notifies(list[i], 0).run(n, period)
				row[i] = float64(processCPU()-began) / float64(n)
			}
		}, func() {
			for i, v := range row {
				scores[i].ns = append(scores[i].ns, v)
			}
			total.ns = append(total.ns, row[1]/row[0])
		})
		for i, a := range list {
			m := scores[i].spread()
			t.add(period, a.name, duration(m.median), quartiles(m), ratio(scores[i].against(scores[0])))
			a.close()
		}
	}
	b.target("nobody", total.spread())
}

// notifies has a C thread notify, and a goroutine that receives unless calm is 0.
func notifies(a arrangement, calm int) neighbour {
	ctx, stop := context.WithCancel(context.Background())
	var receiver sync.WaitGroup
	if calm != 0 {
		receiver.Go(func() {
			for a.receive(ctx) {
			}
		})
	}
	return neighbour{name: a.name, calm: calm, close: func() { stop(); receiver.Wait(); a.close() },
		run: func(n int, period time.Duration) {
			stamps, sent := cNumbers(n), cNumbers(1)
			j := newJob(jobCold, a.way, a.target, n, 0)
			j.setStamps(stamps)
			j.setSent(sent)
			j.setPeriod(period)
			j.start()
			j.wait()
			j.free()
			freeNumbers(stamps)
			freeNumbers(sent)
		}}
}

// pushes has a C thread push records, and a goroutine that reads them.
func pushes(name string, calm int, opts ...ring.Option) neighbour {
	c := ringCarrier(name, 32, opts...)
	return neighbour{name: name, calm: calm, run: c.pushes, close: c.close}
}

// withSocket is what everybody else waits for.
func withSocket() arrangement {
	ends := must1(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	file := os.NewFile(uintptr(ends[0]), "socket")
	conn := must1(net.FileConn(file))
	must(file.Close())
	var buf [512]byte
	return arrangement{name: "socket", way: wayPipe, target: uint64(ends[1]),
		wait:  func(context.Context) error { _, err := conn.Read(buf[:]); return err },
		close: func() { must(conn.Close()); must(unix.Close(ends[1])) }}
}

// compute keeps so many goroutines busy until it is stopped.
func compute(n int) (stop func()) {
	var done atomic.Bool
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for x := uint64(1); !done.Load(); {
				x = x*6364136223846793005 + 1442695040888963407
				sink.Store(x)
			}
		})
	}
	return func() { done.Store(true); group.Wait() }
}

// pushes pushes n records, a period apart.
func (c *carrier) pushes(n int, period time.Duration) {
	stamps := cNumbers(n)
	c.send(1, n, period, stamps)
	freeNumbers(stamps)
}
