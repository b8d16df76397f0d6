package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// This file tests package ring/wasmexport, which only a host can.

func (g *guest) reserve(ring, n uint64) int64 {
	g.Helper()
	return int64(g.call("notifier_ring_reserve", ring, n))
}

// write reserves and fills a record.
func (g *guest) write(ring uint64, text string) uint64 {
	g.Helper()
	at := g.reserve(ring, uint64(len(text)))
	require.Positive(g, at, text)
	require.True(g, g.module.Memory().WriteString(uint32(at), text))
	return uint64(at)
}

func (g *guest) commit(ring, record uint64) int32 {
	g.Helper()
	return int32(g.call("notifier_ring_commit", ring, record))
}

// text returns what was read: each record's length as a byte, and its bytes.
func (g *guest) text(n int) string {
	g.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.call("ring_byte", uint64(i)))
	}
	return string(b)
}

func TestRingReadWhenTheCallReturns(t *testing.T) {
	g := start(t)
	h := g.call("ring_open", 1<<16, 1)
	for i := range uint64(500) {
		require.Zero(t, g.commit(h, g.write(h, "record")))
		require.Equal(t, i+1, g.call("ring_number"))
	}
	require.Equal(t, "\x06record\x06record", g.text(14))
	require.Zero(t, g.call("ring_lost"))
}

func TestRingCodes(t *testing.T) {
	g := start(t)
	require.EqualValues(t, -2, g.reserve(0, 8))
	require.EqualValues(t, -1, g.reserve(1<<40|1, 8), "there is no such ring")
	h := g.call("ring_open", 1<<16, 0)
	require.EqualValues(t, -5, g.reserve(h, 1<<15))
	require.EqualValues(t, -5, g.reserve(h, 0xffffffff))
	first := g.write(h, "a")
	require.EqualValues(t, -2, g.commit(h, first+8), "not what was reserved")
	require.EqualValues(t, -2, g.commit(h+1, first))
	require.EqualValues(t, -2, g.commit(h, 0xffffffff))
	second := g.write(h, "")
	third := g.write(h, "ccc")
	require.Zero(t, g.commit(h, third))
	require.Zero(t, g.call("ring_read"), "in the order of reservation")
	require.EqualValues(t, 0, int32(g.call("notifier_ring_discard", h, second)))
	require.Zero(t, g.commit(h, first))
	require.EqualValues(t, -2, g.commit(h, first), "committed already")
	require.EqualValues(t, 2, g.call("ring_read"))
	require.Equal(t, "\x01a\x03ccc", g.text(6))

	n := uint64(0)
	for {
		at := g.reserve(h, 1000)
		if at < 0 {
			require.EqualValues(t, -4, at)
			break
		}
		n++
		require.Zero(t, g.commit(h, uint64(at)))
	}
	require.EqualValues(t, 2+n, g.call("ring_read"))
	require.EqualValues(t, 3, g.call("ring_lost"), "two too long, and one when it was full")

	late := g.write(h, "late")
	require.Zero(t, g.commit(h, g.write(h, "unread")))
	g.call("ring_shut")
	require.EqualValues(t, -1, g.reserve(h, 1))
	require.EqualValues(t, -1, g.commit(h, late))
	require.EqualValues(t, -2, g.commit(h, late))
	require.EqualValues(t, 4, g.call("ring_lost"))
}

// A host that comes again loses nothing, and while it tries the reader runs: one that needs
// many yields before it reads. A producer that waits is no worse off for it.
func TestRingTry(t *testing.T) {
	g := start(t)
	try := func(ring, n uint64) int64 { return int64(g.call("notifier_ring_try", ring, n)) }
	require.EqualValues(t, -2, try(0, 8))
	require.EqualValues(t, -1, try(1<<40|1, 8))
	h := g.call("ring_open", 1<<16, 0)
	require.EqualValues(t, -5, try(h, 1<<15))
	for at := try(h, 1000); at != -4; at = try(h, 1000) {
		require.Positive(t, at)
		require.Zero(t, g.commit(h, uint64(at)))
	}
	require.Zero(t, g.call("ring_lost"))
	g.call("ring_read")
	require.Positive(t, try(h, 1000))

	h = g.call("ring_open", 1<<16, 400)
	refused := 0
	for range 500 {
		at := try(h, 1000)
		for n := 0; at == -4; n++ {
			refused++
			require.Less(t, n, 1000, "the reader does not run")
			at = try(h, 1000)
		}
		require.Positive(t, at)
		require.Zero(t, g.commit(h, uint64(at)))
	}
	require.NotZero(t, refused, "the ring was never full")
	require.EqualValues(t, 500, g.call("ring_read"))
	require.Zero(t, g.call("ring_lost"))
	g.call("ring_shut")
	require.EqualValues(t, -1, try(h, 1000))
}
