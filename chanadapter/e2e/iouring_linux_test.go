package e2e

// This file has io_uring signal an EventFD.

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/internal/uring"
)

// TestIOUring submits 1,000,000 no-operations in batches. The reaping goroutine
// waits for the eventfd only; a batch is submitted when all of the one before was
// reaped, so that a completion left in the ring while the reaper waits would
// stop everything.
func TestIOUring(t *testing.T) {
	total := 1_000_000
	if !testenv.Long() {
		total = 50_000
	}
	for _, c := range []struct {
		name  string
		async bool
		wait  func(*chanadapter.EventFD) func(context.Context) error
	}{
		{"Wait", false, func(e *chanadapter.EventFD) func(context.Context) error { return e.Wait }},
		{"Wait, by kernel threads", true, func(e *chanadapter.EventFD) func(context.Context) error { return e.Wait }},
		{"C, by kernel threads", true, func(e *chanadapter.EventFD) func(context.Context) error {
			return func(ctx context.Context) error {
				select {
				case <-e.C():
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ring, err := uring.New(256)
			if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
				testenv.Missing(t, "io_uring", err.Error())
			}
			require.NoError(t, err)
			defer ring.Close()
			e, err := chanadapter.NewEventFD()
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			require.NoError(t, ring.RegisterEventFD(e.FD()))

			const batch = 200
			count := total
			if c.async { // a kernel thread each
				count /= 10
			}
			reaped := make(chan int)
			start := time.Now()
			submitted := make([]atomic.Int64, count) // since start
			go func() {
				defer close(reaped)
				for next := 0; next < count; {
					n := min(batch, count-next)
					for i := range n {
						submitted[next+i].Store(int64(time.Since(start)))
					}
					if err := ring.Nops(uint64(next), n, c.async); err != nil {
						t.Error(err)
						return
					}
					for n > 0 {
						got, ok := <-reaped
						if !ok {
							return
						}
						n -= got
						next += got
					}
				}
			}()

			row := report.Row{Source: "io_uring, " + c.name, Messages: count}
			seen := make([]bool, count)
			twice, last := 0, time.Duration(0)
			reap := func(number uint64) {
				if seen[number] {
					twice++
				}
				seen[number] = true
				last = time.Duration(submitted[number].Load())
			}
			ctx, cancel := context.WithTimeoutCause(context.Background(), 3*testenv.Patience(), errors.New("a completion was left in the ring"))
			defer cancel()
			wait := c.wait(e)
			for all := 0; all < count; {
				n := ring.Reap(reap)
				if n > 0 {
					row.Wake = append(row.Wake, time.Since(start)-last)
					reaped <- n
				}
				if all += n; all < count {
					require.NoError(t, wait(ctx), "%d of %d", all, count)
					row.Wakeups++
				}
			}
			<-reaped
			for _, s := range seen {
				if !s {
					row.Lost++
				}
			}
			row.Threads = fmt.Sprint(report.Threads(t))
			row.Write(t)
			require.Zero(t, row.Lost)
			require.Zero(t, twice)
		})
	}
}
