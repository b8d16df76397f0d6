//go:build !386 && !arm && !mips && !mipsle

package notifier

// Tests of one system hold only what that system alone does. Here each system call
// fails in turn that Linux's doorbells and memory make. Not where mmap is mmap2.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// Whichever call fails as a poller is made: NewPoller names it, and nothing of it is
// left; or it does without. The first call fails, then the second, and so on.
func TestEachCallOfNewPollerFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		p := newPoller(t) // what the runtime makes once for all
		require.NoError(t, p.Close())
		for backend, expected := range map[string][]int{
			"eventfd": {unix.SYS_EVENTFD2, unix.SYS_FCNTL, unix.SYS_EPOLL_CTL, unix.SYS_FSTAT, unix.SYS_MMAP, unix.SYS_MUNMAP,
				unix.SYS_MPROTECT, unix.SYS_MADVISE},
			"pipe": {unix.SYS_PIPE2, unix.SYS_EPOLL_CTL, unix.SYS_FSTAT, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT,
				unix.SYS_MADVISE},
		} {
			var failed []int
			unwiped, unparked := 0, 0
			for n := 1; ; n++ {
				call := 0
				var p *Poller
				var err error
				fail := func() {
					idle.sets = nil // so that there is something to make
					known := len(knownSets())
					call = c.Fail(n, unix.EPERM, func() { p, err = NewPoller(WithBackend(backend)) })
					if err != nil {
						require.Nil(t, p)
						require.Equal(t, known, len(knownSets()), "it is listed")
						require.Empty(t, idle.sets)
					}
				}
				if fail(); err != nil {
					testenv.LeavesNothing(t, fmt.Sprintf("call %d, number %d", n, call), fail)
				}
				t.Logf("%s: call %d, number %d: %v", backend, n, call, err)
				if err == nil {
					if pollerWorks(t, p) {
						unwiped++
						require.Equal(t, unix.SYS_MADVISE, call)
					}
				}
				if call < 0 {
					require.NoError(t, err)
					break
				}
				failed = append(failed, call)
				switch call {
				case unix.SYS_MUNMAP, unix.SYS_MADVISE:
					require.NoError(t, err, "it takes more room, or the process id")
				case unix.SYS_FCNTL, unix.SYS_EPOLL_CTL: // package os does not say why
					if err != nil { // and not the mark, which it does without
						require.ErrorIs(t, err, os.ErrNoDeadline)
						require.ErrorContains(t, err, "the runtime cannot wait for it")
						unparked++
					}
				default:
					require.ErrorIs(t, err, unix.EPERM)
					var named *os.SyscallError
					require.ErrorAs(t, err, &named)
					require.Equal(t, nameOf[call], named.Syscall)
				}
			}
			require.Subset(t, failed, expected)
			require.Equal(t, map[string]int{"eventfd": 2, "pipe": 3}[backend], unparked)
			require.Equal(t, 1, unwiped, "the one that asks for wiping, and no other")
		}
	})
}

var nameOf = map[int]string{
	unix.SYS_EVENTFD2: "eventfd2", unix.SYS_PIPE2: "pipe2", unix.SYS_FSTAT: "fstat", unix.SYS_MMAP: "mmap",
	unix.SYS_MPROTECT: "mprotect",
}

// pollerWorks checks that p does, and closes it. It reports whether p's block has the
// process id, since a forked child has a copy of it, which signals nobody.
func pollerWorks(t *testing.T, p *Poller) (copied bool) {
	t.Helper()
	n, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, n)
	require.NoError(t, h.Notify())
	require.NoError(t, n.Wait(t.Context()))
	if p.set.pid != 0 {
		require.EqualValues(t, os.Getpid(), p.set.pid)
		copied = true
	}
	if foreign.SignalsAvailable {
		code, err := foreign.InChild(uint64(h), 3)
		require.NoError(t, err)
		require.Equal(t, -1, code, "closed, in a child")
	}
	require.NoError(t, n.Err())
	require.NoError(t, p.Close())
	return copied
}

// A kernel or emulator that takes any advice, and does nothing, wipes nothing.
func TestAdviceThatIsTakenByNobody(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		copied := 0
		for n, call := 1, 0; call >= 0; n++ {
			if call = c.FailIf(n, unix.SYS_MADVISE, 0, func() {
				idle.sets = nil
				p, err := NewPoller()
				require.NoError(t, err)
				if p.set.pid != 0 {
					copied++
				}
				require.NoError(t, p.Close())
			}); call >= 0 {
				require.LessOrEqual(t, n, 3)
			}
		}
		require.Equal(t, 1, copied, "when it takes advice that there is not")
	})
}

// A write to the doorbell that a signal handler interrupts, or that finds the counter full, signals it all the same;
// one that is refused says so.
func TestEachCallOfASignalFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		for _, backend := range []string{"eventfd", "pipe"} {
			p := newPoller(t, WithBackend(backend))
			list, handles := notifiers(t, p, 1)
			for _, errno := range []syscall.Errno{unix.EINTR, unix.EAGAIN, unix.EPERM} {
				for n, call := 1, 0; call >= 0; n++ {
					settle(t, p)
					parked(t)
					var err error
					call = c.Fail(n, errno, func() { err = handles[0].Notify() })
					switch {
					case call >= 0 && errno == unix.EPERM:
						require.Equal(t, unix.SYS_WRITE, call)
						require.ErrorIs(t, err, unix.EPERM)
						require.ErrorContains(t, err, "write")
						require.NoError(t, handles[0].Notify())
					case backend == "pipe" && errno == unix.EAGAIN && call >= 0:
						require.NoError(t, err, "full of signals, so there is no need")
						require.NoError(t, p.set.bell.signal())
					default:
						require.NoError(t, err)
					}
					receive(t, list[0])
				}
			}
			require.NoError(t, list[0].Err())
		}
	})
}

// The same where the counter is full, which takes three calls.
func TestEachCallOfASignalOfAFullEventFDFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		bell, err := openEventFD()
		require.NoError(t, err)
		defer bell.discard()
		fd := bell.(*eventFD).fd
		for errno, called := range map[syscall.Errno][]int{
			unix.EINTR: {unix.SYS_WRITE, unix.SYS_READ, unix.SYS_WRITE},
			unix.EPERM: {unix.SYS_WRITE, unix.SYS_READ, unix.SYS_WRITE},
		} {
			for n := 1; ; n++ {
				var count [8]byte
				_, _ = unix.Read(fd, count[:])
				_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1<<64-2))
				require.NoError(t, err)
				call := c.Fail(n, errno, func() { err = bell.signal() })
				if n <= len(called) {
					require.Equal(t, called[n-1], call)
				}
				if errno == unix.EPERM && call >= 0 {
					require.ErrorIs(t, err, unix.EPERM, "call %d", n)
					require.NoError(t, bell.signal(), "once it is not refused")
				} else {
					require.NoError(t, err, "call %d", n)
				}
				_, err = unix.Read(fd, count[:])
				require.NoError(t, err)
				require.EqualValues(t, 1, binary.NativeEndian.Uint64(count[:]), "it was emptied, and then written to")
				if call < 0 {
					break
				}
			}
		}
	})
}

// A block that no handle can name is given back.
func TestBlockIsUnmapped(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	testenv.LeavesNothing(t, "a block", func() {
		b, _, err := mapBlock()
		require.NoError(t, err)
		b.generation[maxHandles-1] = 1 // all of it is there
		unmapBlock(b)
	})
}

// A doorbell whose file is closed is broken for good, whatever it is about to do.
func TestDoorbellWithoutItsFile(t *testing.T) {
	for _, open := range []func() (doorbell, error){openEventFD, openPipe} {
		for _, look := range []bool{true, false} {
			bell, err := open()
			require.NoError(t, err)
			if look {
				require.NoError(t, bell.wait(func() bool { return true }, testenv.Patience()))
			}
			bell.discard()
			err = bell.wait(func() bool { return false }, testenv.Patience())
			require.Error(t, err)
			require.NotErrorIs(t, err, errSelfCheck)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.False(t, errors.Is(err, os.ErrDeadlineExceeded))
			assert.ErrorIs(t, bell.check(), unix.EBADF)
		}
	}
}

// The rounds tell a descriptor that cannot be looked at from one that was closed.
func TestCheckIsRefused(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		for _, open := range []func() (doorbell, error){openEventFD, openPipe} {
			bell, err := open()
			require.NoError(t, err)
			ends := len(descriptorsOf(bell))
			for n := 1; ; n++ {
				call := c.Fail(n, unix.EPERM, func() { err = bell.check() })
				if call < 0 {
					require.Equal(t, 2*ends+1, n, "each end is looked at, and its mark")
					require.NoError(t, err)
					break
				}
				if call == unix.SYS_FCNTL {
					require.NoError(t, err, "it does without the mark")
					continue
				}
				require.Equal(t, unix.SYS_FSTAT, call)
				require.ErrorIs(t, err, unix.EPERM)
				require.ErrorContains(t, err, "cannot tell what descriptor")
			}
			bell.discard()
		}
	})
}
