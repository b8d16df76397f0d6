//go:build !386 && !arm && !mips && !mipsle

package chanadapter

// This file holds what happens when Linux refuses any one of the system calls of an
// adapter: each fails in turn. Not where fcntl is fcntl64, and fstat fstat64.

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
}

// Whichever call fails as something is made: the error names it, and nothing is left;
// or it does without. The first call fails, then the second, and so on.
func TestEachCallOfMakingFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		fd, blocking := uintptr(eventfd(t)), uintptr(eventfd(t))
		require.NoError(t, unix.SetNonblock(int(blocking), false))
		watched := []int{unix.SYS_EPOLL_CREATE1, unix.SYS_FCNTL, unix.SYS_EPOLL_CTL}
		before := len(ourGoroutinesBut())
		for name, tried := range map[string]struct {
			make   func() (io.Closer, error)
			fatal  []int // these must fail
			others bool  // it does without some others: what /proc says
		}{
			"EventFD": {make: func() (io.Closer, error) { return NewEventFD() },
				fatal: []int{unix.SYS_EVENTFD2, unix.SYS_FCNTL, unix.SYS_EPOLL_CTL}},
			"opened EventFD": {make: func() (io.Closer, error) { return OpenEventFD(fd) },
				fatal: []int{unix.SYS_FCNTL, unix.SYS_EPOLL_CTL}, others: true},
			"opened blocking EventFD": {make: func() (io.Closer, error) { return OpenEventFD(blocking) },
				fatal: watched, others: true},
			"Timer": {make: func() (io.Closer, error) { return NewTimer(Boottime) },
				fatal: append(watched, unix.SYS_TIMERFD_CREATE)},
			"Process": {make: func() (io.Closer, error) { return Process(os.Getpid()) },
				fatal: append(watched, unix.SYS_PIDFD_OPEN)},
			"Watcher": {make: func() (io.Closer, error) { return Watch(fd) }, fatal: watched},
		} {
			var fatal []int
			for n := 1; ; n++ {
				var call int
				var err error
				testenv.LeavesNothing(t, fmt.Sprintf("%s, call %d", name, n), func() {
					var made io.Closer
					call = c.Fail(n, unix.EPERM, func() { made, err = tried.make() })
					if err == nil {
						require.NoError(t, made.Close())
					}
					require.Nil(t, sharedSet())
					goroutinesEnd(t, before) // that of a set that broke gives it back
				})
				if call < 0 {
					require.NoError(t, err)
					break
				}
				if err == nil { // it does without
					if !tried.others {
						require.Contains(t, []int{unix.SYS_FSTAT, unix.SYS_READLINKAT, unix.SYS_EPOLL_CTL, unix.SYS_FCNTL}, call, name)
					}
					continue
				}
				fatal = append(fatal, call)
				refused(t, err, call)
			}
			require.Subset(t, fatal, tried.fatal, name)
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
			for _, errno := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.EINTR, unix.ENOSYS, unix.EINVAL, 0} {
				for n, call := 1, 0; call >= 0; n++ {
					noPreadv2.Store(false)
					add(t, e, 1)
					var err error
					call = c.FailIf(n, unix.SYS_PREADV2, errno, func() { err = e.Wait(tried.ctx) })
					require.NoError(t, err, "%s, %v: another call does", name, errno)
				}
			}
			noPreadv2.Store(true)
			add(t, e, 1)
			var err error
			call := c.FailIf(1, unix.SYS_READ, unix.EPERM, func() { err = e.Wait(tried.ctx) })
			require.Equal(t, unix.SYS_READ, call)
			require.ErrorIs(t, err, unix.EPERM, "there is no other call to try")
			require.ErrorIs(t, e.Err(), unix.EPERM)
			require.NoError(t, e.Wait(context.Background()))
			require.NoError(t, e.Err())
			noPreadv2.Store(false)
		}

		silent := mustEventFD(t)
		add(t, silent, 3)
		noPreadv2.Store(true)
		require.Equal(t, unix.SYS_READ, c.FailIf(1, unix.SYS_READ, unix.EACCES, func() { require.Zero(t, silent.Value()) }))
		require.ErrorIs(t, silent.Err(), unix.EACCES, "the 0 is none that the kernel said")
		require.EqualValues(t, 3, silent.Value())
		require.NoError(t, silent.Err())
		noPreadv2.Store(false)

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
		mux, err := newMultiplexer(kind{})
		require.NoError(t, err)
		s := mux.(*epollSet)
		defer s.free()
		fd := eventfd(t)
		_, err = s.add(uintptr(fd), 77, wish{interest: interest{events: EventRead}})
		require.NoError(t, err)
		require.NoError(t, signal(fd))
		var keys []uintptr
		s.found = func(key uintptr, _ Events) bool { keys = append(keys, key); return true }
		require.Equal(t, unix.SYS_EPOLL_PWAIT, c.FailIf(1, unix.SYS_EPOLL_PWAIT, unix.EPERM, func() { require.True(t, s.harvest(0)) }))
		require.ErrorIs(t, s.err, unix.EPERM)
		require.ErrorContains(t, s.err, "epoll_pwait")
		require.Empty(t, keys)
		s.err = nil
		require.Equal(t, unix.SYS_EPOLL_PWAIT, c.FailIf(1, unix.SYS_EPOLL_PWAIT, unix.EINTR, func() { require.False(t, s.harvest(0)) }))
		require.NoError(t, s.err)
		require.Equal(t, []uintptr{77}, keys, "it looked again, and nothing was lost")
	})
}

// A receiver's look at its group's own set: all is told, and nothing is left.
func TestEachCallOfCollectFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		ownSetFrom(t, 0)
		for n, call := range map[int]int{1: unix.SYS_EPOLL_PWAIT, 2: unix.SYS_EPOLL_CTL} {
			g := mustGroup(t)
			fd := eventfd(t)
			w := mustWatch(t, fd, In(g))
			require.NoError(t, signal(fd))
			receive(t, g.C())
			// The first epoll_ctl looks after the set, before anything is taken out of it.
			require.Equal(t, call, c.FailIf(n, call, unix.EPERM, func() { all(g) }))
			receive(t, w.Done())
			require.ErrorIs(t, w.Err(), unix.EPERM)
			require.ErrorContains(t, w.Err(), "the watching of descriptors broke")
			<-w.reg.set.exited
			again := mustWatch(t, fd, In(g))
			receive(t, g.C())
			found, _ := all(g)
			require.Contains(t, found, again)
			require.NoError(t, w.Close())
			require.NoError(t, g.Close())
		}
	})
}

// If a set of its own cannot be made for a group, whichever call fails, its Watchers are
// in that of all.
func TestEachCallOfAnOwnSetFails(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		ownSetFrom(t, 0)
		mustWatch(t, eventfd(t))
		fd := eventfd(t)
		call := 0
		for n := 1; call >= 0; n++ {
			testenv.LeavesNothing(t, fmt.Sprint("call ", n), func() {
				g := NewGroup()
				var w *Watcher
				var err error
				call = c.Fail(n, unix.EMFILE, func() { w, err = Watch(uintptr(fd), In(g)) })
				require.NoError(t, err)
				require.True(t, call >= 0 || w.reg.set == g.ownSet())
				require.NoError(t, signal(fd))
				receive(t, g.C())
				found, _ := all(g)
				require.Equal(t, []*Watcher{w}, found)
				require.NoError(t, g.Close())
			})
		}
	})
}

// A set whose file is closed ends its Watchers, and the next one is a new one.
func TestEpollSetWithoutItsFile(t *testing.T) {
	fd := eventfd(t)
	w := mustWatch(t, fd)
	settle(t)
	require.NoError(t, w.reg.set.mux.(*epollSet).file.Close())
	receive(t, w.Done())
	<-w.reg.set.exited
	require.ErrorContains(t, w.Err(), "the watching of descriptors broke")
	again := mustWatch(t, fd)
	require.False(t, w.reg.set == again.reg.set, "it is in the broken set")
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
			unix.EPERM:  "is always ready",
			unix.EINVAL: "watched through 500 descriptors",
			unix.ELOOP:  "watched through 500 descriptors",
			unix.ENOSPC: "/proc/sys/fs/epoll/max_user_watches",
			unix.ENOMEM: "epoll_ctl",
			unix.EEXIST: "its owner closed it", // there is nothing to take over
		} {
			// The first looks after the set, the second is fd's.
			var err error
			call := c.FailIf(2, unix.SYS_EPOLL_CTL, errno, func() { _, err = Watch(uintptr(fd)) })
			require.Equal(t, unix.SYS_EPOLL_CTL, call)
			require.ErrorContains(t, err, says)
			require.ErrorContains(t, err, fmt.Sprint("cannot watch descriptor ", fd))
			if errno != unix.EEXIST {
				require.ErrorIs(t, err, errno)
			}
			require.Len(t, other.reg.set.byKey, 1)
			require.Len(t, other.reg.set.byFD, 1)

			w := mustWatch(t, fd)
			require.NoError(t, signal(fd))
			receive(t, w.C())
			call = c.Fail(1, errno, func() { err = w.Rearm() })
			require.Equal(t, unix.SYS_EPOLL_CTL, call)
			switch errno {
			case unix.EBADF, unix.EPERM, unix.EINVAL:
				require.ErrorContains(t, err, "its owner closed it")
				require.Equal(t, err, w.Err())
				<-w.Done()
				// The kernel has it still, as it would not in truth.
				require.NoError(t, unix.EpollCtl(w.reg.set.mux.(*epollSet).fd, unix.EPOLL_CTL_DEL, fd, nil))
			default:
				require.ErrorIs(t, err, errno)
				require.ErrorContains(t, err, fmt.Sprintf("cannot watch descriptor %d anew", fd))
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
