//go:build !386 && !arm && !mips && !mipsle

package chanadapter

// This file holds what happens when Linux refuses any one of the system calls of an
// adapter: each fails in turn. Not where mmap is mmap2.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// refused checks that err is what a refused call is to be told by. Package os does not
// say why the netpoller did not take a descriptor.
func refused(t *testing.T, err error, call int) {
	t.Helper()
	if errors.Is(err, os.ErrNoDeadline) {
		require.Contains(t, []int{unix.SYS_FCNTL, unix.SYS_EPOLL_CTL}, call)
		require.ErrorContains(t, err, "the runtime cannot wait for")
		return
	}
	require.ErrorIs(t, err, unix.EPERM)
	var named *os.SyscallError
	if !errors.As(err, &named) {
		require.ErrorContains(t, err, "epoll cannot wait for it", "Watch has words for it")
	} else if name := nameOf[call]; name != "" {
		require.Equal(t, name, named.Syscall)
	}
}

var nameOf = map[int]string{
	unix.SYS_EVENTFD2: "eventfd2", unix.SYS_TIMERFD_CREATE: "timerfd_create", unix.SYS_PIDFD_OPEN: "pidfd_open",
	unix.SYS_EPOLL_CREATE1: "epoll_create1", unix.SYS_FCNTL: "fcntl", unix.SYS_EPOLL_CTL: "epoll_ctl",
	unix.SYS_MEMFD_CREATE: "memfd_create", unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_MMAP: "mmap", unix.SYS_MADVISE: "madvise",
}

// Whichever call fails as something is made: the error names it, and nothing is left;
// or it does without. The first call fails, then the second, and so on.
func TestEachCallOfMakingFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		fd := uintptr(eventfd(t))
		ring := func(options ...RingOption) func() (io.Closer, error) {
			return func() (io.Closer, error) { return NewRing(1<<16, options...) }
		}
		watched := []int{unix.SYS_EPOLL_CREATE1, unix.SYS_FCNTL, unix.SYS_EPOLL_CTL}
		for name, tried := range map[string]struct {
			make     func() (io.Closer, error)
			fatal    []int // these must fail,
			harmless []int // and these must not
		}{
			"EventFD": {make: func() (io.Closer, error) { return NewEventFD() },
				fatal: []int{unix.SYS_EVENTFD2, unix.SYS_FCNTL, unix.SYS_EPOLL_CTL}},
			"Timer": {make: func() (io.Closer, error) { return NewTimer(Boottime) },
				fatal: append(watched, unix.SYS_TIMERFD_CREATE)},
			"Process": {make: func() (io.Closer, error) { return Process(os.Getpid()) },
				fatal: append(watched, unix.SYS_PIDFD_OPEN)},
			"Watcher": {make: func() (io.Closer, error) { return Watch(fd) }, fatal: watched},
			"Ring": {make: ring(),
				harmless: []int{unix.SYS_MEMFD_CREATE, unix.SYS_FTRUNCATE, unix.SYS_MMAP, unix.SYS_MADVISE}},
			"Ring, mapped twice": {make: ring(withMemory(mirroredMemory{})),
				fatal:    []int{unix.SYS_MEMFD_CREATE, unix.SYS_FTRUNCATE, unix.SYS_MMAP, unix.SYS_MADVISE},
				harmless: []int{unix.SYS_MADVISE}}, // the one that is to be refused
			"Ring, mapped once": {make: ring(withMemory(privateMemory{})), fatal: []int{unix.SYS_MMAP}},
		} {
			// What is made once for all: the control blocks of rings, and what is known
			// about the system.
			for range 2 {
				var all []io.Closer
				for range minIdleControls + 1 {
					r, err := NewRing(1 << 16)
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
				testenv.LeavesNothing(t, fmt.Sprintf("%s, call %d", name, n), func() {
					var made io.Closer
					call = c.Fail(n, unix.EPERM, func() { made, err = tried.make() })
					if r, ok := made.(*Ring); ok && err == nil {
						if call != unix.SYS_MADVISE {
							require.Equal(t, call < 0 && name != "Ring, mapped once", r.b.mirrored)
						} else if !r.b.mirrored {
							shared++
						}
						require.NoError(t, r.Push([]byte("record")))
						require.Equal(t, [][]byte{[]byte("record")}, recordsOf(r))
					}
					if err == nil {
						require.NoError(t, made.Close())
					}
					require.Nil(t, sharedSet())
				})
				if call < 0 {
					require.NoError(t, err)
					break
				} else if err == nil {
					harmless = append(harmless, call)
				} else {
					fatal = append(fatal, call)
					refused(t, err, call)
				}
			}
			if name == "Ring" {
				require.Equal(t, 2, shared, "for each of the two places")
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
		for _, memory := range ringMemories {
			ringPool.idle = nil
			r, err := NewRing(1<<16, withMemory(memory))
			require.NoError(t, err)
			require.NoError(t, r.Close())
			refusals, copied := 0, 0
			for n := 1; ; n++ {
				var call int
				step := func() {
					call = c.Fail(n, unix.EPERM, func() { r, err = NewRing(1<<16, withMemory(memory)) })
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
			require.Equal(t, map[ringMemory]int{mirroredMemory{}: 8, privateMemory{}: 2}[memory], refusals)
		}
	})
}

// An EventFD whose counter cannot be read says so, and loses nothing.
func TestEachCallOfAnEventFDFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		ended, end := context.WithCancel(context.Background())
		end()
		live, stop := context.WithCancel(context.Background())
		defer stop()
		announcing := mustEventFD(t)
		announcing.C()
		inNetpoller(t, "(*EventFD).announce")
		for name, tried := range map[string]struct {
			e   *EventFD
			ctx context.Context
		}{
			"alone":        {mustEventFD(t), context.Background()},
			"with an end":  {mustEventFD(t), live},
			"at its end":   {mustEventFD(t), ended},
			"beside C":     {announcing, context.Background()},
			"of semaphore": {mustEventFD(t, Semaphore()), context.Background()},
		} {
			e := tried.e
			for _, errno := range []syscall.Errno{unix.EPERM, unix.EINTR, unix.ENOSYS} {
				for n, call := 1, 0; call >= 0; n++ {
					noPreadv2.Store(false)
					add(t, e, 1)
					var err error
					call = c.Fail(n, errno, func() { err = e.Wait(tried.ctx) })
					if errno == unix.EPERM && call >= 0 {
						require.Equal(t, unix.SYS_PREADV2, call, name)
						require.ErrorIs(t, err, unix.EPERM, name)
						err = e.Wait(context.Background()) // it is still there
					}
					require.NoError(t, err, name)
				}
			}
			noPreadv2.Store(true)
			add(t, e, 1)
			var err error
			call := c.Fail(1, unix.ENOSYS, func() { err = e.Wait(tried.ctx) })
			require.Equal(t, unix.SYS_READ, call)
			require.ErrorIs(t, err, unix.ENOSYS, "there is no other call to try")
			noPreadv2.Store(false)
			require.NoError(t, e.Wait(context.Background()))
			require.NoError(t, e.Err())
		}

		e := mustEventFD(t)
		for n, call := 1, 0; call >= 0; n++ {
			testenv.LeavesNothing(t, fmt.Sprint("File, call ", n), func() {
				var file *os.File
				var err error
				call = c.Fail(n, unix.EMFILE, func() { file, err = e.File() })
				if n == 1 {
					require.Equal(t, unix.SYS_FCNTL, call)
					require.ErrorIs(t, err, unix.EMFILE)
					require.ErrorContains(t, err, "no descriptor for the child")
					return
				}
				require.NoError(t, err, "a child needs no netpoller")
				require.NoError(t, file.Close())
			})
		}
	})
}

func TestEventFDWithoutItsFile(t *testing.T) {
	e := mustEventFD(t)
	require.NoError(t, e.file.Close())
	require.ErrorContains(t, e.Wait(context.Background()), "cannot wait for the eventfd")
	require.NoError(t, e.Close())
	require.Equal(t, ErrClosed, e.Wait(context.Background()))
}

// A timer that cannot be set or read says so, and goes on. ECANCELED is how Linux tells
// that the wall clock was set.
func TestEachCallOfATimerFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		timer := mustTimer(t, Realtime)
		far := time.Now().Add(1000 * time.Hour)
		var n uint64
		var err error
		set := func() { err = timer.At(far) }
		read := func() { n, err = timer.Expired() }

		require.Equal(t, unix.SYS_TIMERFD_SETTIME, c.Fail(1, unix.EPERM, set))
		require.ErrorIs(t, err, unix.EPERM)
		require.ErrorContains(t, err, "cannot set the timer")
		require.Equal(t, unix.SYS_TIMERFD_SETTIME, c.Fail(1, unix.ECANCELED, set))
		require.NoError(t, err, "it is set all the same")
		require.Equal(t, -1, c.Fail(2, unix.EPERM, set))
		require.NoError(t, err)

		require.Equal(t, unix.SYS_READ, c.Fail(1, unix.EPERM, read))
		require.ErrorIs(t, err, unix.EPERM)
		require.ErrorContains(t, err, "cannot read the timer")
		require.Equal(t, unix.SYS_READ, c.Fail(1, unix.ECANCELED, read))
		require.Equal(t, ErrClockSet, err)
		require.Zero(t, n)
		require.Equal(t, unix.SYS_READ, c.Fail(1, unix.EINTR, read))
		require.NoError(t, err, "it is told once")
		require.Equal(t, -1, c.Fail(2, unix.EPERM, read))
		require.NoError(t, err)

		require.NoError(t, timer.After(1))
		receive(t, timer.C())
		require.Equal(t, unix.SYS_READ, c.Fail(1, unix.EPERM, read))
		require.Error(t, err)
		read()
		require.NoError(t, err)
		require.EqualValues(t, 1, n, "it was not lost by the error")
		require.NoError(t, timer.Err())
	})
}

// The watching goroutine's look at its set.
func TestEachCallOfAHarvestFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		mux, err := newMultiplexer()
		require.NoError(t, err)
		s := mux.(*epollSet)
		defer s.file.Close()
		fd := eventfd(t)
		require.NoError(t, s.add(uintptr(fd), 77, interest{events: EventRead}))
		require.NoError(t, signal(fd))
		var keys []uintptr
		s.found = func(key uintptr, _ Events) { keys = append(keys, key) }
		require.Equal(t, unix.SYS_EPOLL_PWAIT, c.Fail(1, unix.EPERM, func() { require.True(t, s.harvest(0)) }))
		require.ErrorIs(t, s.err, unix.EPERM)
		require.ErrorContains(t, s.err, "epoll_pwait")
		require.Empty(t, keys)
		s.err = nil
		require.Equal(t, unix.SYS_EPOLL_PWAIT, c.Fail(1, unix.EINTR, func() { require.False(t, s.harvest(0)) }))
		require.NoError(t, s.err)
		require.Equal(t, []uintptr{77}, keys, "it looked again, and nothing was lost")
	})
}

// A set whose file is closed ends its Watchers, and the next one is a new one.
func TestEpollSetWithoutItsFile(t *testing.T) {
	fd := eventfd(t)
	w := mustWatch(t, fd)
	settle(t)
	require.NoError(t, w.set.mux.(*epollSet).file.Close())
	receive(t, w.Done())
	<-w.set.exited
	require.ErrorContains(t, w.Err(), "the watching of descriptors broke")
	again := mustWatch(t, fd)
	require.NotSame(t, w.set, again.set)
	require.NoError(t, signal(fd))
	receive(t, again.C())
	require.NoError(t, w.Close())
	require.NoError(t, again.Close())
}

// What epoll_ctl says is told in words. What is not watched is not in the tables, and
// other Watchers go on.
func TestEachAnswerOfEpollCtl(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		fd, other := eventfd(t), mustWatch(t, eventfd(t))
		for errno, says := range map[syscall.Errno]string{
			unix.EBADF:  "it is not open",
			unix.EPERM:  "it is always ready",
			unix.EINVAL: "it is an epoll set that would wait for itself",
			unix.ELOOP:  "watched through 500 descriptors",
			unix.ENOSPC: "/proc/sys/fs/epoll/max_user_watches",
			unix.ENOMEM: "epoll_ctl",
			unix.EEXIST: "its owner closed it", // there is nothing to take over
		} {
			var err error
			call := c.Fail(1, errno, func() { _, err = Watch(uintptr(fd)) })
			require.Equal(t, unix.SYS_EPOLL_CTL, call)
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, fmt.Sprint("cannot watch descriptor ", fd))
			if errno != unix.EEXIST {
				require.ErrorIs(t, err, errno)
			}
			require.Len(t, other.set.byKey, 1)
			require.Len(t, other.set.byFD, 1)

			w := mustWatch(t, fd)
			require.NoError(t, signal(fd))
			receive(t, w.C())
			call = c.Fail(1, errno, func() { err = w.Rearm() })
			require.Equal(t, unix.SYS_EPOLL_CTL, call)
			switch errno {
			case unix.EBADF, unix.EPERM:
				require.ErrorContains(t, err, "its owner closed it")
				require.Equal(t, err, w.Err())
				<-w.Done()
				// The kernel has it still, as it would not in truth.
				require.NoError(t, unix.EpollCtl(w.set.mux.(*epollSet).fd, unix.EPOLL_CTL_DEL, fd, nil))
			default:
				require.ErrorIs(t, err, errno)
				require.ErrorContains(t, err, fmt.Sprint("cannot rearm descriptor ", fd))
				require.NoError(t, w.Err(), "it is watched as before")
				require.NoError(t, signal(fd))
				receive(t, w.C())
				require.NoError(t, w.Rearm())
				receive(t, w.C())
			}
			require.NoError(t, w.Close())
			var count [8]byte
			_, _ = unix.Read(fd, count[:])
		}
		assert.NoError(t, other.Err())
	})
}
