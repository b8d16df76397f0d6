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
	total := 100_000
	if testing.Short() {
		total = 10_000
	}
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
