//go:build unix

package chanadapter

// This file holds what a forked child sees of a ring.

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter/internal/ringforeign"
)

// copied is memory of which a child has a copy of the control block, as where the
// system cannot make it see zeros.
type copied struct{ ringMemory }

func (copied) control() (*ringControl, uint32, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(os.Getpagesize()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return (*ringControl)(p), uint32(os.Getpid()), err
}

// A child is told that the ring is closed, and does its parent's no harm.
func TestRingInAChild(t *testing.T) {
	needThreads(t)
	eachRing(t, inAChild)
}

// So is one that has a copy of the control block.
func TestRingCopiedIntoAChild(t *testing.T) {
	needThreads(t)
	ringPool.mu.Lock()
	idle := ringPool.idle
	ringPool.idle = nil // so that new ones are made
	ringPool.mu.Unlock()
	defer func() {
		ringPool.mu.Lock()
		defer ringPool.mu.Unlock()
		ringPool.idle = idle
	}()
	for _, m := range ringMemories {
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) {
			withEach(t, []ringMemory{copied{m}}, func(t *testing.T, ring ringMaker) {
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
	h := ringHandle(t, r)
	mine, code := ringforeign.ReserveNow(h, 8)
	require.Equal(t, ringforeign.OK, code)
	before := r.Len()
	push, reserve, commit, ok := ringforeign.InChild(h, mine)
	require.True(t, ok, "the child died")
	assert.Equal(t, ringforeign.Closed, push)
	assert.Equal(t, ringforeign.Closed, reserve)
	assert.Equal(t, ringforeign.Closed, commit)
	require.Equal(t, before, r.Len(), "the child had a ring of its own, if any")
	require.GreaterOrEqual(t, ringforeign.CommitNow(h, mine), 0)
	require.Len(t, recordsOf(r), 1)
}
