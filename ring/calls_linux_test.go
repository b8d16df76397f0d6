//go:build !386 && !arm && !mips && !mipsle

package ring

// This file holds what happens when Linux refuses any one of the system calls of a
// ring: each fails in turn. Not where mmap is mmap2.

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

var nameOf = map[int]string{
	unix.SYS_MMAP: "mmap", unix.SYS_MREMAP: "mremap", unix.SYS_MADVISE: "madvise",
}

// refused checks that err is what a refused call is to be told by.
func refused(t *testing.T, err error, call int) {
	t.Helper()
	require.ErrorIs(t, err, unix.EPERM)
	var named *os.SyscallError
	require.True(t, errors.As(err, &named))
	require.Equal(t, nameOf[call], named.Syscall)
}

// Whichever call fails as a ring is made: the error names it, and nothing is left; or
// it does without. The first call fails, then the second, and so on.
func TestEachCallOfMakingFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		for name, tried := range map[string]struct {
			options  []Option
			fatal    []int // these must fail,
			harmless []int // and these must not
		}{
			"as it comes": {harmless: []int{unix.SYS_MMAP, unix.SYS_MREMAP, unix.SYS_MADVISE}},
			"mapped twice": {options: []Option{withMemory(mirroredMemory{})},
				fatal:    []int{unix.SYS_MMAP, unix.SYS_MREMAP, unix.SYS_MADVISE},
				harmless: []int{unix.SYS_MADVISE}}, // the one that is to be refused
			"mapped once": {options: []Option{withMemory(privateMemory{})}, fatal: []int{unix.SYS_MMAP}},
		} {
			// What is made once for all: the control blocks of rings, and what is known
			// about the system.
			for range 2 {
				var all []*Ring
				for range minIdleControls + 1 {
					r, err := New(1 << 16)
					require.NoError(t, err)
					require.True(t, r.b.mirrored)
					all = append(all, r)
				}
				for _, r := range all {
					require.NoError(t, r.Close())
				}
			}
			var fatal, harmless []int
			shared := 0
			for n := 1; ; n++ {
				var call int
				var err error
				unmirrored := false
				testenv.LeavesNothing(t, fmt.Sprintf("%s, call %d", name, n), func() { // perhaps again
					var r *Ring
					call = c.Fail(n, unix.EPERM, func() { r, err = New(1<<16, tried.options...) })
					if err != nil {
						return
					}
					if unmirrored = !r.b.mirrored; call != unix.SYS_MADVISE {
						require.Equal(t, call < 0 && name != "mapped once", !unmirrored)
					}
					require.NoError(t, r.Push([]byte("record")))
					require.Equal(t, [][]byte{[]byte("record")}, recordsOf(r))
					require.NoError(t, r.Close())
				})
				if call < 0 {
					require.NoError(t, err)
					break
				} else if err == nil {
					if harmless = append(harmless, call); call == unix.SYS_MADVISE && unmirrored {
						shared++
					}
				} else {
					fatal = append(fatal, call)
					refused(t, err, call)
				}
			}
			if name == "as it comes" {
				require.Equal(t, 1, shared, "for both places")
			}
			require.Subset(t, fatal, tried.fatal, name)
			if tried.fatal == nil {
				require.Empty(t, fatal, name)
			}
			require.Subset(t, harmless, tried.harmless, name)
			if tried.harmless == nil {
				require.Empty(t, harmless, name)
			}
		}
	})
}

// A ring that gets no control block gives back its data.
func TestEachCallOfAControlBlockFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		for _, memory := range backings {
			pool.idle, freshControls = nil, nil
			r, err := New(1<<16, withMemory(memory))
			require.NoError(t, err)
			require.NoError(t, r.Close())
			refusals, copied := 0, 0
			for n := 1; ; n++ {
				var call int
				step := func() {
					freshControls = nil
					call = c.Fail(n, unix.EPERM, func() { r, err = New(1<<16, withMemory(memory)) })
				}
				if step(); err != nil {
					refused(t, err, call)
					testenv.LeavesNothing(t, fmt.Sprint("call ", n), step)
					refusals++
					continue
				}
				require.NoError(t, r.Push([]byte("record")))
				require.Len(t, recordsOf(r), 1)
				require.NoError(t, r.Close())
				if call < 0 {
					require.Zero(t, r.b.pid)
					break
				}
				require.Equal(t, unix.SYS_MADVISE, call)
				if r.b.pid != 0 {
					require.EqualValues(t, os.Getpid(), r.b.pid)
					copied++
				}
			}
			require.Equal(t, 1, copied, "the one that asks for zeros, and no other")
			require.Equal(t, map[backing]int{mirroredMemory{}: 5, privateMemory{}: 2}[memory], refusals)
		}
	})
}
