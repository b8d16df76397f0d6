//go:build e2e && linux

package zmq

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// TestPushPull receives 100,000 records that come in bursts, by ZMQ_FD. It is
// edge-triggered, and says only that ZMQ_EVENTS may have changed (zmq_getsockopt):
// so the socket is drained before the first wait and after each wake-up. In
// lockstep a burst is sent when the one before was received: a record that no
// wake-up came for would stop everything.
func TestPushPull(t *testing.T) {
	if testing.Short() {
		pushPull(t, 10_000)
	} else {
		pushPull(t, 100_000)
	}
}

// TestInterrupted has both kinds of sockets while signals interrupt all threads.
func TestInterrupted(t *testing.T) {
	t.Setenv("E2E_TABLE", "") // how long it takes tells nothing
	testenv.Interrupt(t)
	pushPull(t, 2_000)
	dealer(t, 2_000)
}

func pushPull(t *testing.T, total int) {
	for _, gap := range []time.Duration{0, time.Millisecond} {
		name := fmt.Sprintf("bursts %v apart", gap)
		if gap == 0 {
			name = "each burst after the one before was received"
		}
		t.Run(name, func(t *testing.T) {
			pair, err := Start(total, gap)
			require.NoError(t, err)
			w, err := chanadapter.Watch(pair.FD())
			require.NoError(t, err)

			row := report.Row{Source: "libzmq PUSH/PULL, " + name, Messages: total}
			seen := make([]bool, total)
			got := 0
			receive := func(number uint64, age time.Duration) {
				if seen[number] {
					t.Errorf("record %d came twice", number)
				}
				seen[number] = true
				got++
				row.Wake = append(row.Wake, age)
			}
			ctx, cancel := context.WithTimeoutCause(context.Background(), 3*testenv.Patience(), errors.New("records wait, and no token comes"))
			defer cancel()
			for {
				require.NoError(t, pair.Drain(receive))
				pair.Ack(got)
				if got == total {
					break
				}
				select {
				case <-w.C():
					row.Wakeups++
				case <-ctx.Done():
					require.NoError(t, context.Cause(ctx), "%d of %d", got, total)
				}
			}
			row.Lost = total - got
			row.Threads = fmt.Sprint(report.Threads(t))
			require.NoError(t, w.Close())
			pair.Close()
			row.Write(t)
		})
	}
}

// TestDealer has 4 requests under way, as a client has that both sends and receives on
// one socket. zmq_send too may take the change away that ZMQ_FD would have told of
// (zmq_getsockopt): so the replies are looked for after each send, and not only after
// each wake-up. Without that it stands still after some hundred.
func TestDealer(t *testing.T) {
	if testing.Short() {
		dealer(t, 5_000)
	} else {
		dealer(t, 100_000)
	}
}

func dealer(t *testing.T, total int) {
	const window = 4
	watch := func(ctx context.Context, d *Dealer, woken func()) error {
		w, err := chanadapter.Watch(d.FD())
		if err != nil {
			return err
		}
		defer func() { _ = w.Close() }()
		requests := make(chan struct{})
		over := make(chan struct{})
		defer close(over)
		go func() {
			for range total {
				select {
				case requests <- struct{}{}:
				case <-over:
					return
				}
			}
		}()
		if err := d.Replies(); err != nil {
			return err
		}
		for d.Received() < total {
			room := requests
			if d.Sent()-d.Received() == window {
				room = nil
			}
			select {
			case <-room:
				err = errors.Join(d.Ask(), d.Replies())
			case <-w.C():
				woken()
				err = d.Replies()
			case <-ctx.Done():
				err = fmt.Errorf("%w: %d of %d", context.Cause(ctx), d.Received(), total)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, way := range []struct {
		name string
		run  func(ctx context.Context, d *Dealer, woken func()) error
	}{
		{"Watch", watch},
		{"zmq_poll", func(_ context.Context, d *Dealer, _ func()) error { return d.ByPoll() }},
		{"a thread in zmq_recv", func(_ context.Context, d *Dealer, _ func()) error { return d.ByThread() }},
	} {
		t.Run(way.name, func(t *testing.T) {
			d, err := NewDealer(total, window)
			require.NoError(t, err)
			defer d.Close()
			ctx, cancel := context.WithTimeoutCause(context.Background(), 3*testenv.Patience(), errors.New("replies wait, and no token comes"))
			defer cancel()
			row := report.Row{Source: "libzmq DEALER, 4 requests under way: " + way.name, Messages: total}
			before := report.CPU(t)
			require.NoError(t, way.run(ctx, d, func() { row.Wakeups++ }))
			row.CPU = report.CPU(t) - before
			require.Equal(t, total, d.Sent())
			require.Equal(t, total, d.Received(), "each reply came, and once")
			row.Lost, row.Wake, row.Threads = d.Sent()-d.Received(), d.Took(), fmt.Sprint(report.Threads(t))
			row.Write(t)
		})
	}
}
