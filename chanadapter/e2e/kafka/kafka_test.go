//go:build e2e && linux

package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// loop consumes until stop is closed, and counts how often it went round.
type loop func(k *Consumer, stop <-chan struct{}, each func(int, time.Duration)) (rounds int, err error)

// watched waits for the queue's eventfd.
func watched(k *Consumer, stop <-chan struct{}, each func(int, time.Duration)) (rounds int, err error) {
	// An eventfd of librdkafka's making would do as well; here nobody reads it.
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, err
	}
	w, err := chanadapter.Watch(uintptr(fd))
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = w.Close()
		k.Signal(-1)
		_ = unix.Close(fd)
	}()
	k.Signal(fd)
	for ; ; rounds++ {
		if err := k.Take(0, each); err != nil {
			return rounds, err
		}
		select {
		case <-w.C():
		case <-stop:
			return rounds, nil
		}
	}
}

const every = 100 * time.Millisecond

// blocking is the loop that is usual with librdkafka: it blocks a thread, and
// looks at stop ten times a second.
func blocking(k *Consumer, stop <-chan struct{}, each func(int, time.Duration)) (rounds int, err error) {
	for ; ; rounds++ {
		select {
		case <-stop:
			return rounds, nil
		default:
		}
		if err := k.Take(every, each); err != nil {
			return rounds, err
		}
	}
}

// ticking looks ten times a second, and blocks no thread.
func ticking(k *Consumer, stop <-chan struct{}, each func(int, time.Duration)) (rounds int, err error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for ; ; rounds++ {
		if err := k.Take(0, each); err != nil {
			return rounds, err
		}
		select {
		case <-ticker.C:
		case <-stop:
			return rounds, nil
		}
	}
}

var loops = []struct {
	name string
	run  loop
}{
	{"Watch", watched},
	{"poll that blocks a thread for 100 ms", blocking},
	{"look every 100 ms", ticking},
}

// TestOneConsumer has one consumer take 100,000 records, in three ways. The time
// from producing to consuming has the producer's way, the mock broker's and the
// consumer's in it, which are the same for all.
func TestOneConsumer(t *testing.T) {
	total := 100_000
	if testing.Short() {
		total = 5_000
	}
	for _, l := range loops {
		t.Run(l.name, func(t *testing.T) {
			consume(t, l.name, l.run, 1, total, 50, time.Millisecond)
		})
	}
}

// TestHundredConsumers has 100 consumers, each with a client of its own: what
// threads they take, and how long it takes them to end.
func TestHundredConsumers(t *testing.T) {
	consumers := 100
	if testing.Short() {
		consumers = 10
	}
	for _, l := range loops {
		t.Run(l.name, func(t *testing.T) {
			consume(t, l.name, l.run, consumers, 50*consumers, consumers/10, 50*time.Millisecond)
		})
	}
}

func consume(t *testing.T, name string, run loop, consumers, total, burst int, fetch time.Duration) {
	cluster, err := NewCluster()
	require.NoError(t, err)
	defer cluster.Close()
	require.NoError(t, cluster.Topic("topic", consumers))

	var mu sync.Mutex
	seen := make([]bool, total)
	got := 0
	warm, done := make(chan struct{}), make(chan struct{})
	row := report.Row{Source: fmt.Sprintf("librdkafka, %d consumers, %s", consumers, name), Messages: total}
	each := func(number int, age time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if seen[number] {
			t.Errorf("record %d came twice", number)
		}
		seen[number] = true
		if number >= consumers {
			row.Wake = append(row.Wake, age)
		}
		switch got++; got {
		case consumers:
			close(warm)
		case total:
			close(done)
		}
	}
	var all []*Consumer
	for p := range consumers {
		k, err := cluster.Consume(p, fetch)
		require.NoError(t, err)
		defer k.Close()
		all = append(all, k)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("records wait, and nobody takes them"))
	defer cancel()
	before := report.Threads(t)
	most := before
	await := func(c <-chan struct{}) {
		for {
			most = max(most, report.Threads(t))
			select {
			case <-c:
				return
			case <-ctx.Done():
				require.NoError(t, context.Cause(ctx), "%d of %d", got, total)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}

	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, k := range all {
		running.Go(func() {
			rounds, err := run(k, stop, each)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			row.Wakeups += rounds
		})
	}
	// A record for each: then they are connected.
	require.NoError(t, cluster.Produce(0, consumers, consumers, 0))
	await(warm)
	require.NoError(t, cluster.Join())
	require.NoError(t, cluster.Produce(consumers, total, burst, 2*time.Millisecond))
	await(done)
	require.NoError(t, cluster.Join())
	start := time.Now()
	close(stop)
	running.Wait()
	ended := time.Since(start)
	row.Lost = total - got
	row.Threads = fmt.Sprintf("%d of librdkafka and %d more; ended in %v", before, most-before, ended.Round(100*time.Microsecond))
	row.Write(t)
	require.Zero(t, row.Lost)
}
