package ring

// This file holds what happens when Linux refuses a system call that a ring is made
// with. Each test runs in a process of its own.

import (
	"bytes"
	"os"
	"os/signal"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// A ring does without memory that can be mapped twice.
func TestRingWithoutItsCalls(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	before := openDescriptors()
	testenv.Refuse(t, unix.SYS_MREMAP)
	for range 10 {
		r, err := New(1 << 12)
		require.NoError(t, err)
		require.False(t, r.b.mirrored)
		for i := range byte(200) { // more than once round
			require.NoError(t, r.Push([]byte{i, i, i, i}))
			var buf [4]byte
			n, err := r.ReadInto(buf[:])
			require.NoError(t, err)
			require.Equal(t, []byte{i, i, i, i}, buf[:n])
		}
		require.NoError(t, r.Close())
	}
	assert.Equal(t, before, openDescriptors(), "something was left behind")
}

// A limit on the size of files is nothing to a ring: as long as it made one, a host in C
// ended by SIGXFSZ.
func TestRingUnderAFileSizeLimit(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	before, err := New(1 << 20)
	require.NoError(t, err)
	require.NoError(t, before.Close())
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &limit))
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1, Max: limit.Max}))
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &limit) // a profile is a file
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGXFSZ, unix.SIGWINCH)
	r, err := New(1 << 20)
	require.NoError(t, err)
	require.Equal(t, before.b.mirrored, r.b.mirrored)
	require.NoError(t, r.Close())
	require.NoError(t, unix.Kill(os.Getpid(), unix.SIGWINCH))
	require.Equal(t, unix.SIGWINCH, <-signals, "the first that comes")
}

// As many rings as there may be, and Go still has mappings to live on: an error says how
// many those are. Every second one is closed then, which is when the kernel needs most.
func TestRingsToTheLimit(t *testing.T) {
	if !testenv.Long() || !testenv.Child(t) {
		return
	}
	var rings []*Ring
	for range mostRings {
		r, err := New(64)
		require.NoError(t, err)
		rings = append(rings, r)
	}
	_, err := New(64)
	require.ErrorContains(t, err, "32768 rings")
	mapped := 0
	for i, r := range rings {
		if r.b.mirrored {
			mapped++
		}
		if i%2 == 0 {
			require.NoError(t, r.Close())
		}
	}
	require.LessOrEqual(t, mapped, mostMirrored)
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	t.Log(bytes.Count(maps, []byte("\n")), "mappings")
	require.Less(t, bytes.Count(maps, []byte("\n")), 50000)
	for i, r := range rings {
		if i%2 != 0 {
			require.NoError(t, r.Close())
		}
	}
	r, err := New(64)
	require.NoError(t, err)
	require.NoError(t, r.Close())
}
