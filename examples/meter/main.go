// Command meter shows a thread that must never wait handing data to Go: like the
// callback of a sound card it has 1.3 ms for each block of 64 frames, measures the
// block's level in two channels, and pushes that into a Ring. The goroutine draws
// bars, ten times a second.
//
//	go run ./examples/meter
//	go run ./examples/meter -nap 1s    # Go is away: the ring fills, and counts what is lost
package main

// This file holds the reader and what it draws. The thread is in thread_cgo.go, or
// played by a goroutine in thread_nocgo.go.

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/wakechan/wakechan/ring"
)

// level is what the thread pushes for each block; thread_cgo.go has it in C.
type level struct {
	Block uint64
	Peak  [2]float32 // left, right; 0 to 1
}

type settings struct {
	blocks int           // how many the thread makes
	period time.Duration // of a block
	nap    time.Duration // how long the reader is away, once
	size   int           // of the ring
	live   bool          // one line that is drawn over
}

func main() {
	s := settings{}
	flag.IntVar(&s.blocks, "n", 2250, "how many blocks of 64 frames; 750 are a second")
	flag.DurationVar(&s.period, "period", 64*time.Second/48000, "time of a block")
	flag.DurationVar(&s.nap, "nap", 0, "let the goroutine be away that long, once")
	flag.IntVar(&s.size, "size", 1<<13, "size of the ring in bytes")
	flag.Parse()
	info, err := os.Stdout.Stat()
	s.live = err == nil && info.Mode()&os.ModeCharDevice != 0
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, s); err != nil {
		fmt.Fprintln(os.Stderr, "meter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, s settings) error {
	r, err := ring.New(s.size)
	if err != nil {
		return err
	}
	defer r.Close()
	return show(ctx, out, r, s)
}

// show draws what a thread pushes into r until that has ended, and makes it end
// before that if ctx does, or if it goes wrong. It closes r.
func show(ctx context.Context, out io.Writer, r *ring.Ring, s settings) error {
	fmt.Fprintln(out, who)
	thread, err := startThread(r, s.blocks, s.period)
	if err != nil {
		return err
	}
	draw := time.NewTicker(100 * time.Millisecond)
	defer draw.Stop()
	received, wakes, next := 0, 0, uint64(0)
	var peak [2]float32
	read := func() error {
		for l, err := range ring.Values[level](r) {
			if err != nil {
				return err
			}
			if l.Block < next {
				return fmt.Errorf("block %d came after block %d", l.Block, next-1)
			}
			next = l.Block + 1
			received++
			peak[0], peak[1] = max(peak[0], l.Peak[0]), max(peak[1], l.Peak[1])
			if s.nap > 0 && received > s.blocks/4 {
				time.Sleep(s.nap)
				s.nap = 0
			}
		}
		return nil
	}
	for ended := false; !ended && err == nil; {
		select {
		case <-r.C():
			wakes++
			err = read()
		case <-draw.C:
			line := fmt.Sprintf("L %s R %s lost %d", bar(peak[0]), bar(peak[1]), r.Lost())
			if s.live {
				fmt.Fprint(out, "\r", line)
			} else {
				fmt.Fprintln(out, line)
			}
			peak[0], peak[1] = peak[0]*0.5, peak[1]*0.5 // they fall
		case <-thread.done:
			ended = true
			err = read()
		case <-ctx.Done():
			ended = true
		}
	}
	r.Close() // a thread that still runs is told, and ends
	<-thread.done
	if s.live {
		fmt.Fprintln(out)
	}
	pushed, lost := thread.pushed(), r.Lost()
	fmt.Fprintf(out, "%d blocks pushed, %d received in %d wake-ups, %d lost; the longest push took %v\n", pushed, received, wakes, lost, thread.longest())
	if err == nil && uint64(received)+lost != uint64(pushed) {
		err = fmt.Errorf("%d blocks are missing", pushed-received-int(lost))
	}
	return err
}

// bar draws 20 columns for 40 decibels.
func bar(peak float32) string {
	db := 20 * math.Log10(float64(max(peak, 1e-6)))
	n := max(0, min(20, int((db+40)/2)))
	return strings.Repeat("█", n) + strings.Repeat("·", 20-n)
}
