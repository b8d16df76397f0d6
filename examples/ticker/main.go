// Ticker is the main job of package notifier: threads that Go did not make tick,
// and a goroutine that selects on a channel wakes up for each.
//
//	go run ./examples/ticker                            # 20 ticks, 100 ms apart
//	go run ./examples/ticker -n 0                       # until Ctrl-C
//	go run ./examples/ticker -interval 0 -n 1000000     # as fast as it goes: they coalesce
//	go run ./examples/ticker -tickers 10000             # as many threads and notifiers
//
// At the end it prints how many ticks were sent, how many wake-ups they made, how
// many coalesced into another's, and how long a wake-up took. Sent is always woken
// plus coalesced. For comparison a second C thread announces the same ticks, half an
// interval earlier, by a cgo callback to the same goroutine.
package main

// This file holds the goroutine's side: flags, the select loop and the summary.
// Who ticks is in tick.go, the C thread in thread_cgo.go; what is printed while
// it runs is in screen.go.

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ticker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ticker", flag.ExitOnError)
	var (
		interval = flags.Duration("interval", 100*time.Millisecond, "time between a thread's ticks; 0: none")
		count    = flags.Uint64("n", 20, "ticks of each thread; 0: until Ctrl-C")
		many     = flags.Int("tickers", 1, "number of threads, each with a notifier of its own")
	)
	_ = flags.Parse(args)
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *interval < 0:
		return fmt.Errorf("-interval %v is negative", *interval)
	case *many < 1:
		return fmt.Errorf("-tickers %d: at least 1 is needed", *many)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tickers := make([]*ticker, *many)
	for i := range tickers {
		t, err := newTicker(*interval, *count)
		if err != nil {
			return fmt.Errorf("notifier %d of %d: %w", i+1, *many, err)
		}
		defer t.n.Close()
		tickers[i] = t
	}
	show := newScreen(out)
	show.begin(tickers)

	var others sync.WaitGroup
	for i, t := range tickers {
		if i > 0 {
			others.Go(func() { t.follow(ctx) })
		}
		if err := t.start(); err != nil {
			show.end()
			return fmt.Errorf("thread %d of %d: %w (what limits it: ulimit -u, the cgroup's pids.max, vm.max_map_count)", i+1, *many, err)
		}
	}
	if first := tickers[0]; first.callBack != nil && *interval > 0 && *many == 1 {
		if err := first.callBack(); err != nil {
			show.end()
			return fmt.Errorf("the thread that calls back: %w", err)
		}
	}
	rest := make(chan struct{})
	go func() {
		others.Wait()
		close(rest)
	}()

	first := tickers[0]
	second := time.NewTicker(time.Second)
	defer second.Stop()
	interrupted := false
	for !interrupted && (rest != nil || !first.finished()) {
		select {
		case <-first.n.C(): // one tick or many
			show.wakeUp(first.take())
		case since := <-calledBack:
			callbacks.add(time.Duration(max(first.now()-since, 1)))
		case <-second.C:
			show.second()
		case <-ctx.Done():
			interrupted = true
		case <-first.n.Done():
			return first.n.Err() // the poller broke
		case <-rest:
			rest = nil
		}
	}
	show.end()
	return summary(out, tickers, interrupted)
}

// summary closes the notifiers and prints what became of the ticks. After an
// interrupt the C threads are asleep or at a tick: none is waited for, since a
// handle is harmless after Close, and notifier_notify tells them to stop.
func summary(out io.Writer, tickers []*ticker, interrupted bool) error {
	var sent, woken, spurious, late uint64
	for _, t := range tickers {
		t.n.Close()
		// A thread that is at a tick has written since, and sent not yet.
		w := t.woken.Load()
		s := max(t.sent.Load(), w)
		sent += s
		woken += w
		spurious += t.spurious.Load()
		if t.since.Load() != 0 && s > w {
			late++ // sent, and nobody received it any more
		}
	}
	if interrupted {
		fmt.Fprintln(out, "interrupted")
	}
	fmt.Fprintf(out, "sent %d, woken %d, coalesced %d", sent, woken, sent-woken-late)
	if late > 0 {
		fmt.Fprintf(out, ", cut off %d", late)
	}
	if spurious > 0 {
		fmt.Fprintf(out, "; %d more wake-ups found nothing new", spurious)
	}
	_, err := fmt.Fprintf(out, "\nwake-up latency: %v\n", &latencies)
	if err == nil && !callbacks.empty() {
		_, err = fmt.Fprintf(out, "by a cgo callback: %v\n", &callbacks)
	}
	return err
}
