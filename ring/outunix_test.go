//go:build unix

package ring

// This file holds what an Out does only on a unix: a forked child, and memory that
// faults.

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/ringforeign"
)

// withoutIdleOuts runs test with new control blocks.
func withoutIdleOuts(test func()) {
	outs.mu.Lock()
	before := outs.idle
	outs.idle = nil
	outs.mu.Unlock()
	defer func() {
		outs.mu.Lock()
		defer outs.mu.Unlock()
		outs.idle = append(outs.idle, before...)
	}()
	test()
}

// A forked child finds nothing, and does its parent no harm; also where it has a copy
// of the control block.
func TestOutInAChild(t *testing.T) {
	needThreads(t)
	if !ringforeign.Forks {
		t.Skip("no fork")
	}
	eachOutMemory(t, childReadsNothing)
	withoutIdleOuts(func() {
		memory := withMemory(copied{privateMemory{}})
		o := newOut(t, 4096, memory)
		require.EqualValues(t, os.Getpid(), o.b.pid)
		require.NoError(t, o.Close())
		childReadsNothing(t, memory) // with the same control block
	})
}

func childReadsNothing(t *testing.T, memory Option) {
	o := newOut(t, 4096, memory)
	h := outHandle(t, o)
	require.NoError(t, o.Write([]byte("first")))
	require.NoError(t, o.Write([]byte("second")))
	require.Equal(t, "first", string(ringforeign.OutPeekNow(h)))
	before := o.Len()
	read, peek, ok := ringforeign.OutInChild(h)
	require.True(t, ok, "the child died")
	assert.Zero(t, read)
	assert.Zero(t, peek)
	require.Equal(t, before, o.Len())
	ringforeign.OutDoneNow(h)
	buf := make([]byte, 64)
	require.Equal(t, 6, ringforeign.OutReadNow(h, buf))
	require.NoError(t, o.Close())
}

// A record in memory that faults is not written, and the Out goes on.
func TestOutWriteOfMemoryThatFaults(t *testing.T) {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(b)) }()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	o := newOut(t, 4096)
	for range 100 {
		require.Panics(t, func() { _ = o.Write(b[:100]) })
		require.Panics(t, func() { _ = o.WriteWait(t.Context(), b[:100]) })
	}
	require.Zero(t, o.Len())
	require.NoError(t, o.Write([]byte("good")))
	require.Equal(t, "good", string(readOut(o, false)))
}
