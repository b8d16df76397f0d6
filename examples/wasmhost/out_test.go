package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// This file tests what package ring/wasmexport exports for an Out, which only a host
// can.

// The host reads records in place, and those that fit into memory of the guest; a
// goroutine that waits for room writes more when the call returns.
func TestOutIsReadByTheHost(t *testing.T) {
	g := start(t)
	const records = 3_000 // the Out has room for fewer
	h := g.call("out_open", 4096, records)
	number := func(b []byte) int {
		require.Len(t, b, 10)
		require.EqualValues(t, 1, b[9])
		return int(b[0]) | int(b[1])<<8
	}
	read := func(out, buffer, capacity uint64) uint32 {
		return uint32(g.call("notifier_out_read", out, buffer, capacity)) // an i32: the rest of the word is not defined
	}
	scratch := g.reserve(g.call("ring_open", 4096, 0), 16) // memory of the guest that is ours
	require.Positive(t, scratch)
	for next, empty := 0, 0; next < records; {
		if next%2 == 0 {
			at := g.call("notifier_out_peek", h)
			if at == 0 {
				empty++
				require.Less(t, empty, 1000, "after %d records", next)
				g.call("notifier_out_done", h) // without a peek: nothing, but it lets the writer run
				continue
			}
			b, ok := g.module.Memory().Read(uint32(at>>32), uint32(at))
			require.True(t, ok)
			require.Equal(t, next, number(b))
			require.Zero(t, read(h, uint64(scratch), 16), "it is held")
			g.call("notifier_out_done", h)
		} else {
			n := read(h, uint64(scratch), 16)
			if n == 0 {
				empty++
				require.Less(t, empty, 1000, "after %d records", next)
				continue
			}
			b, ok := g.module.Memory().Read(uint32(scratch), n)
			require.True(t, ok)
			require.Equal(t, next, number(b))
		}
		next++
	}
	require.Zero(t, g.call("notifier_out_peek", h))
	require.Zero(t, read(0, uint64(scratch), 16))
	require.Zero(t, g.call("notifier_out_peek", h+2))
	g.call("notifier_out_done", 0)

	h = g.call("out_open", 4096, 3)
	for read(h, 0, 0) != 10 { // how long it is
	}
	require.EqualValues(t, 10, read(h, uint64(scratch), 9))
	g.call("out_shut")
	require.Zero(t, read(h, uint64(scratch), 16))
	require.Zero(t, g.call("notifier_out_peek", h))
}
