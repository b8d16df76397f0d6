//go:build e2e && linux

package glib

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// TestRenewedPipes has 16 pipes of which each is closed after one message and made anew,
// 10,000 times in all. The next round has another pipe with the same number and the same
// condition.
func TestRenewedPipes(t *testing.T) {
	messages := 10_000
	if testing.Short() {
		messages = 1_000
	}
	for _, way := range []struct {
		name string
		run  func(ctx context.Context, w *World, threads func()) error
	}{
		{"Group", func(ctx context.Context, w *World, threads func()) error {
			return w.ByGroup(ctx, func() {
				if w.Wakeups%64 == 1 {
					threads()
				}
			})
		}},
		{"g_main_context_iteration", func(_ context.Context, w *World, threads func()) error {
			defer threads()
			return w.ByItsLoop()
		}},
		{"a thread each, in read(2)", func(_ context.Context, w *World, threads func()) error {
			return w.ByThreads(threads)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			threads, goroutines := report.Threads(t), runtime.NumGoroutine()
			w := New(messages)
			defer w.Close()
			ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("a pipe waits, and no token comes"))
			defer cancel()
			row := report.Row{Source: "GLib, 16 pipes that are renewed: " + way.name, Messages: messages}
			before := report.CPU(t)
			most := 0
			require.NoError(t, way.run(ctx, w, func() {
				row.Threads, most = fmt.Sprint(report.Threads(t)), max(most, runtime.NumGoroutine())
			}), "%d of %d", w.Received(), w.Sent())
			row.CPU = report.CPU(t) - before
			require.Equal(t, messages, w.Sent())
			require.Equal(t, messages, w.Received())
			if way.name == "Group" {
				require.LessOrEqual(t, most, goroutines+4, "a goroutine a pipe?")
				require.LessOrEqual(t, report.Threads(t), threads+6, "a thread a pipe?")
			}
			row.Wakeups, row.Wake, row.Lost = w.Wakeups, w.Took(), w.Sent()-w.Received()
			row.Write(t)
		})
	}
}
