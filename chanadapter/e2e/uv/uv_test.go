//go:build e2e && linux

package uv

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
	"github.com/wakechan/wakechan/notifier"
)

func messages() int {
	if testing.Short() {
		return 5_000
	}
	return 100_000
}

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("a wake-up was lost"))
	t.Cleanup(cancel)
	return ctx
}

// TestLoopOnAThread: Go asks by uv_async_send, and the loop's callback answers
// through notifier_notify, one after the other.
func TestLoopOnAThread(t *testing.T) {
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	require.NoError(t, err)
	echo, err := NewEcho(uint64(h))
	require.NoError(t, err)
	row := report.Row{Source: "libuv on a C thread, and back", Messages: messages()}
	ctx := patience(t)
	for i := 1; i <= row.Messages; i++ {
		start := time.Now()
		require.NoError(t, echo.Ask(i))
		for echo.Answered() < i {
			require.NoError(t, n.Wait(ctx), "%d", i)
			row.Wakeups++
		}
		row.Wake = append(row.Wake, time.Since(start))
	}
	row.Threads = fmt.Sprint(report.Threads(t))
	require.NoError(t, echo.Stop())
	row.Write(t)
}

// TestLoopInAGoroutine watches the loop's own epoll set. It is watched with
// OneShot, since uv_run may leave something for the next time.
func TestLoopInAGoroutine(t *testing.T) {
	for _, timer := range []time.Duration{0, time.Millisecond} {
		row := report.Row{Source: "libuv in a goroutine, uv_backend_fd", Messages: messages()}
		if timer != 0 { // it would help out if a wake-up were lost
			row.Source += ", with a timer"
			row.Messages /= 10
		}
		loop, err := NewEmbedded(row.Messages, timer)
		require.NoError(t, err)
		w, err := chanadapter.Watch(loop.FD(), chanadapter.OneShot())
		require.NoError(t, err)
		lost := time.NewTimer(testenv.Patience()) // since the last wake-up
		defer lost.Stop()
		for {
			lost.Reset(testenv.Patience())
			before := loop.Seen()
			loop.Run()
			if loop.Seen() != before {
				row.Wake = append(row.Wake, loop.Age())
			}
			if loop.Seen() >= row.Messages && (timer == 0 || loop.Ticks() > 0) {
				break
			}
			require.NoError(t, w.Rearm())
			var due <-chan time.Time
			if d, ok := loop.Timeout(); ok {
				due = time.After(d)
			}
			select {
			case <-w.C():
				row.Wakeups++
			case <-due:
			case <-lost.C:
				require.FailNow(t, "a wake-up was lost", "%d of %d", loop.Seen(), row.Messages)
			}
		}
		row.Threads = fmt.Sprint(report.Threads(t))
		require.NoError(t, w.Close())
		require.NoError(t, loop.Stop())
		row.Lost = row.Messages - len(row.Wake)
		row.Write(t)
		require.Zero(t, row.Lost)
	}
}
