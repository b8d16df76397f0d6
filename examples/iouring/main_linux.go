package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/internal/uring"
)

// total is how many operations there are, and batch how many of them are submitted
// by one system call.
const (
	total = 1_000_000
	batch = 200
)

func run(ctx context.Context, out io.Writer) error {
	ring, err := uring.New(256)
	if err != nil {
		fmt.Fprintln(out, "nothing to show here:", err)
		return nil
	}
	defer ring.Close()
	e, err := chanadapter.NewEventFD()
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }()
	if err := ring.RegisterEventFD(e.FD()); err != nil {
		return err
	}

	start := time.Now()
	wakeups, largest, signals := 0, 0, uint64(0)
	seen := make([]bool, total)
	reap := func(number uint64) { seen[number] = true }
	for submitted := 0; submitted < total; submitted += batch {
		// What completes signals the eventfd, now or later.
		if err := ring.Nops(uint64(submitted), batch, false); err != nil {
			return err
		}
		for done := 0; done < batch; {
			if err := e.Wait(ctx); err != nil {
				return err
			}
			wakeups++
			signals += e.Value()
			n := ring.Reap(reap)
			largest = max(largest, n)
			done += n
		}
	}
	lost := 0
	for _, s := range seen {
		if !s {
			lost++
		}
	}
	fmt.Fprintf(out, "%d operations completed, %d lost, in %v\n", total, lost, time.Since(start).Round(time.Millisecond))
	fmt.Fprintf(out, "the kernel signalled %d times; the goroutine woke up %d times, for %d completions at most\n", signals, wakeups, largest)
	return nil
}
