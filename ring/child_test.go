//go:build unix

package ring

// This file holds what a forked child sees of a ring.

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/ringforeign"
)

// copied is memory of which a child has a copy of the control block, as where the
// system cannot make it see zeros.
type copied struct{ backing }

func (copied) control() (*control, uint32, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(os.Getpagesize()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return (*control)(p), uint32(os.Getpid()), err
}

// A child is told that the ring is closed, and does its parent's no harm.
func TestRingInAChild(t *testing.T) {
	needThreads(t)
	eachRing(t, inAChild)
}

// So is one that has a copy of the control block.
func TestRingCopiedIntoAChild(t *testing.T) {
	needThreads(t)
	pool.mu.Lock()
	idle := pool.idle
	pool.idle = nil // so that new ones are made
	pool.mu.Unlock()
	defer func() {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		pool.idle = idle
	}()
	for _, m := range backings {
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) {
			withEach(t, []backing{copied{m}}, func(t *testing.T, ring ringMaker) {
				require.EqualValues(t, os.Getpid(), ring(t, 4096).b.pid)
				inAChild(t, ring)
			})
		})
	}
}

func inAChild(t *testing.T, ring ringMaker) {
	if !ringforeign.Forks {
		t.Skip("no fork")
	}
	r := ring(t, 4096)
	h := handleOf(t, r)
	mine, code := ringforeign.ReserveNow(h, 8)
	require.Equal(t, ringforeign.OK, code)
	before := r.Len()
	closed := [5]int{ringforeign.Closed, ringforeign.Closed, ringforeign.Closed, ringforeign.Closed, ringforeign.Closed}
	codes, ok := ringforeign.InChild(h, mine)
	require.True(t, ok, "the child died")
	assert.Equal(t, closed, codes)
	require.Equal(t, before, r.Len(), "the child had a ring of its own, if any")

	// Full, and with producers that wait: nobody would ever wake the child.
	n := fillUp(t, r, 0)
	ctx, done := patience(t), make(chan error, 1)
	go func() { done <- r.PushWait(ctx, nil) }()
	waits(t, r)
	codes, ok = ringforeign.InChild(h, mine)
	require.True(t, ok, "the child died, or it hangs")
	assert.Equal(t, closed, codes)
	require.GreaterOrEqual(t, ringforeign.CommitNow(h, mine), 0)
	got := len(recordsOf(r))
	require.NoError(t, <-done)
	require.Equal(t, n+2, got+len(recordsOf(r)))
}
