//go:build e2e && linux

package gstreamer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/ring"
)

// TestEveryFrame has 16 pipelines whose frames go through a ring that has room for five:
// each frame arrives, in its stream's order, and the end of each stream after them.
func TestEveryFrame(t *testing.T) {
	const streams = 16
	frames := 1000
	if testing.Short() {
		frames = 50
	}
	t.Setenv("GST_REGISTRY", filepath.Join(t.TempDir(), "registry.bin"))
	t.Setenv("GST_REGISTRY_FORK", "no")
	r, err := ring.New(16 << 10)
	require.NoError(t, err)
	defer r.Close()
	h, err := r.Handle()
	require.NoError(t, err)
	all, err := Open(uint64(h), streams, frames)
	if err != nil {
		testenv.Missing(t, "gstreamer", err.Error())
	}
	defer func() { all.Close() }()
	defer r.Close() // before: a callback may wait for room

	ctx, cancel := context.WithTimeoutCause(context.Background(), 6*testenv.Patience(), errors.New("a frame or an end is missing"))
	defer cancel()
	row := report.Row{Source: fmt.Sprintf("GStreamer, %d appsinks, a ring of 16 KiB: `notifier_ring_wait`", streams), Messages: streams * frames}
	before := report.CPU(t)
	require.NoError(t, all.Play())
	var next [streams]int
	for ended, got := 0, 0; ended < streams; {
		require.NoError(t, r.Wait(ctx), "%d of %d frames, %d ends", got, row.Messages, ended)
		row.Wakeups++
		if row.Wakeups == 1 {
			row.Threads = fmt.Sprint(report.Threads(t))
		}
		for rec := range r.Records() {
			f, err := Parse(rec)
			require.NoError(t, err)
			require.Equal(t, next[f.Stream], f.Number, "%+v", f)
			if f.Ended {
				ended++
				continue
			}
			next[f.Stream]++
			got++
			row.Wake = append(row.Wake, f.Took)
		}
	}
	row.CPU = report.CPU(t) - before
	for _, n := range next {
		require.Equal(t, frames, n)
	}
	require.Zero(t, r.Len(), "something came after the ends")
	held, failed := all.Close()
	require.False(t, failed)
	require.NotZero(t, held, "the ring was never full")
	require.Zero(t, r.Lost())
	t.Logf("%d of %d frames found no room and waited", held, row.Messages)
	row.Write(t)
}
