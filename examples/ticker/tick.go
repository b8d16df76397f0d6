package main

// This file holds a ticker: a notifier, whoever notifies it, and the words that
// the two sides share. The foreign way to tick is in thread_cgo.go; the ways here
// are for a build without cgo and for systems where foreign code has no doorbell.

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

// shared is what the one who ticks tells the one who wakes up. A notification
// carries no data, so data goes beside it, behind atomics. Its layout is that of
// struct shared in thread_cgo.go.
type shared struct {
	// since: when the first tick was that nobody woke up for yet; 0: there is none.
	//
	//	0 -> now  the one who ticks, by CAS, before it notifies
	//	now -> 0  take, after a wake-up
	since atomic.Int64

	// sent counts the ticks; written by the one who ticks, after since and before
	// it notifies.
	sent atomic.Uint64
}

// endless is more ticks than there is time for.
const endless = math.MaxUint64

type ticker struct {
	*shared
	n        *notifier.Notifier
	interval time.Duration
	count    uint64
	by       string       // who ticks, for the user
	start    func() error // begins to tick
	callBack func() error // begins to tick by a cgo callback as well; nil without cgo
	now      func() int64 // the clock of since, in nanoseconds

	woken    atomic.Uint64 // wake-ups that found a tick
	spurious atomic.Uint64 // those that found none: it was taken with the one before
}

// calledBack gets the time of each tick that a cgo callback announces: what a
// program does whose library calls back into Go.
var calledBack = make(chan int64, 1)

// tickWithThread makes a C thread tick; nil if this was built without cgo.
var tickWithThread func(t *ticker, h notifier.Handle) error

func newTicker(interval time.Duration, count uint64) (*ticker, error) {
	if count == 0 {
		count = endless
	}
	n := notifier.New()
	t := &ticker{n: n, interval: interval, count: count}
	switch h, err := n.Handle(); {
	case errors.Is(err, errors.ErrUnsupported):
		t.tickWith(n.Notify)
		t.by = "goroutine, through Notify, since foreign code has no doorbell on this system"
	case err != nil:
		n.Close()
		return nil, err
	case tickWithThread == nil:
		t.tickWith(h.Notify)
		t.by = "goroutine, through Handle.Notify, since this was built without cgo"
	default:
		if err := tickWithThread(t, h); err != nil {
			n.Close()
			return nil, err
		}
		t.by = "C thread, through notifier_notify"
	}
	return t, nil
}

// tickWith makes a goroutine tick. It does what tick in thread_cgo.go does.
func (t *ticker) tickWith(notify func() error) {
	began := time.Now()
	t.shared = new(shared)
	t.now = func() int64 { return int64(time.Since(began)) }
	t.start = func() error {
		go func() {
			next := time.Now()
			for i := uint64(1); i <= t.count; i++ {
				next = next.Add(t.interval)
				time.Sleep(time.Until(next))
				t.since.CompareAndSwap(0, t.now())
				t.sent.Store(i)
				if notify() != nil {
					t.sent.Store(i - 1)
					return
				}
			}
		}()
		return nil
	}
}

// follow wakes up for each tick until there are no more.
func (t *ticker) follow(ctx context.Context) {
	for !t.finished() {
		select {
		case <-t.n.C():
			t.take()
		case <-ctx.Done():
			return
		}
	}
}

// take is called after each wake-up, by one goroutine. It returns the number of
// ticks so far, and how long ago the one that woke it was: 0 if there was none,
// since the last wake-up came so late that it covered this one's tick too.
func (t *ticker) take() (sent uint64, latency time.Duration) {
	since := t.since.Swap(0)
	if since == 0 {
		t.spurious.Add(1)
		return t.sent.Load(), 0
	}
	latency = time.Duration(max(t.now()-since, 1))
	t.woken.Add(1)
	latencies.add(latency)
	return t.sent.Load(), latency
}

// finished reports whether there will be no more wake-ups. In this order: since
// is set before sent, so that the last tick is seen by one of the two.
func (t *ticker) finished() bool {
	return t.sent.Load() == t.count && t.since.Load() == 0
}
