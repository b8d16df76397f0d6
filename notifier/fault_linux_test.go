package notifier

// Tests of one system hold only what that system alone does. This file breaks
// Linux's doorbells: descriptors that are closed, replaced or full behind the
// library's back.

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
)

// callers are those that signal by themselves.
func callers() map[string]func(h Handle) error {
	all := map[string]func(h Handle) error{"handle": Handle.Notify}
	if foreign.Available {
		all["C"] = func(h Handle) error { return errorOf(foreign.Notify(uint64(h))) }
		all["thread"] = func(h Handle) error { return errorOf(foreign.OnThread(uint64(h), 1)) }
	}
	return all
}

func perCaller(t *testing.T, test func(t *testing.T, p *Poller, notify func(h Handle) error)) {
	for _, backend := range Backends() {
		for name, notify := range callers() {
			t.Run(backend+"/"+name, func(t *testing.T) {
				test(t, newPoller(t, WithBackend(backend)), notify)
			})
		}
	}
}

// takeAway closes the descriptor that is signalled, and returns how to put it back.
func takeAway(t *testing.T, p *Poller) (putBack func()) {
	t.Helper()
	fd := int(p.set.bell.descriptor())
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))
	var once sync.Once
	putBack = func() {
		once.Do(func() {
			require.NoError(t, unix.Dup3(copied, fd, unix.O_CLOEXEC))
			require.NoError(t, unix.Close(copied))
		})
	}
	t.Cleanup(putBack)
	return putBack
}

// While the descriptor is away callers get its errno; nothing is lost once it is
// back and anybody notifies.
func TestDescriptorIsAwayForAWhile(t *testing.T) {
	perCaller(t, func(t *testing.T, p *Poller, notify func(h Handle) error) {
		p.watch = time.Hour // the next round would tell
		list, handles := notifiers(t, p, 3)
		for next := range list {
			settle(t, p)
			parked(t)
			putBack := takeAway(t, p)
			for range 3 {
				require.ErrorIs(t, notify(handles[0]), unix.EBADF)
				require.ErrorIs(t, notify(handles[1]), unix.EBADF)
			}
			require.NoError(t, list[0].Notify(), "Go's own takes no doorbell")
			require.NoError(t, list[0].Wait(t.Context()))
			require.ErrorIs(t, notify(handles[0]), unix.EBADF)
			putBack()
			require.NoError(t, notify(handles[next]))
			receive(t, list[0])
			receive(t, list[1])
			if next == 2 {
				receive(t, list[2])
			}
			settle(t, p)
			for i, n := range list {
				require.Empty(t, n.C(), "notifier %d", i)
				require.NoError(t, n.Err())
			}
		}
	})
}

// One that does not come back ends the notifiers, and callers get CLOSED.
func TestDescriptorIsClosed(t *testing.T) {
	perCaller(t, func(t *testing.T, p *Poller, notify func(h Handle) error) {
		// Its descriptor is not to be found again: a set for this test alone.
		p = brokenSoon(t, p)
		list, handles := notifiers(t, p, 2)
		fd := int(p.set.bell.descriptor())
		require.NoError(t, unix.Close(fd))
		t.Cleanup(func() { plug(t, fd) })
		for {
			err := notify(handles[0])
			if errors.Is(err, ErrClosed) {
				break
			}
			// The poller was asleep; or the fault is under way.
			if err != nil && !errors.Is(err, errCondemned) {
				require.ErrorIs(t, err, unix.EBADF)
			}
		}
		ended(t, p, "somebody closed descriptor", list)
		require.ErrorIs(t, list[0].Err(), unix.EBADF)
		require.ErrorIs(t, notify(handles[1]), ErrClosed)
	})
}

// brokenSoon returns a poller like p with a ready set that no other will use,
// and short times between self-checks.
func brokenSoon(t *testing.T, p *Poller) *Poller {
	t.Helper()
	defer hideIdle()()
	fresh := newPoller(t, WithBackend(p.backend))
	fresh.watch = time.Millisecond
	return fresh
}

// plug puts something harmless at a descriptor's number for good: the doorbell's
// os.File still has it.
func plug(t *testing.T, fd int) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	if null != fd {
		require.NoError(t, unix.Dup3(null, fd, unix.O_CLOEXEC))
		require.NoError(t, unix.Close(null))
	}
}

// Another file in its place takes the signals, so nobody learns of it but the
// poller at its self-check.
func TestDescriptorIsReplaced(t *testing.T) {
	perCaller(t, func(t *testing.T, p *Poller, notify func(h Handle) error) {
		p = brokenSoon(t, p)
		list, handles := notifiers(t, p, 2)
		plug(t, int(p.set.bell.descriptor()))
		_ = notify(handles[0])
		ended(t, p, "somebody put another file at descriptor", list)
		require.ErrorIs(t, notify(handles[1]), ErrClosed)
	})
}

// likes makes what fstat(2) does not tell from an eventfd: all of them have one inode.
var likes = map[string]func() (int, error){
	"epoll":    func() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) },
	"timerfd":  func() (int, error) { return unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC) },
	"inotify":  func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK) },
	"signalfd": func() (int, error) { return unix.Signalfd(-1, &unix.Sigset_t{}, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK) },
	"eventfd":  func() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) },
}

// replace puts a new descriptor of that kind at the number fd.
func replace(t *testing.T, fd int, kind string) {
	t.Helper()
	stranger, err := likes[kind]()
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(stranger, fd, unix.O_CLOEXEC))
	require.NoError(t, unix.Close(stranger))
	t.Cleanup(func() { plug(t, fd) })
}

// The same when what is there looks like an eventfd: under a poller that sleeps, and
// under one that was closed, whose set the next poller does not get.
func TestEventFDIsReplacedByItsLike(t *testing.T) {
	for kind := range likes {
		t.Run(kind, func(t *testing.T) {
			p := brokenSoon(t, newPoller(t, WithBackend("eventfd")))
			list, handles := notifiers(t, p, 2)
			settle(t, p)
			replace(t, int(p.set.bell.descriptor()), kind)
			_ = handles[0].Notify()
			ended(t, p, "somebody put another file at descriptor", list)
			require.ErrorIs(t, handles[1].Notify(), ErrClosed)
			require.NoError(t, p.Close())

			defer hideIdle()()
			p = newPoller(t, WithBackend("eventfd"))
			broken := p.set
			_, _ = notifiers(t, p, 1)
			require.NoError(t, p.Close())
			replace(t, int(broken.bell.descriptor()), kind)
			p = newPoller(t, WithBackend("eventfd"))
			require.NotSame(t, broken, p.set)
			list, handles = notifiers(t, p, 1)
			require.NoError(t, handles[0].Notify())
			receive(t, list[0])
		})
	}
}

// A pipe's reading end can go as well. A write then raises SIGPIPE, which Go
// ignores on its own threads; but on a foreign one its default action ends the
// process (os/signal, "SIGPIPE"), unless the program ignores it.
func TestReadingEndIsClosed(t *testing.T) {
	for name, notify := range callers() {
		if name == "thread" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := brokenSoon(t, newPoller(t, WithBackend("pipe")))
			list, handles := notifiers(t, p, 2)
			fd := p.set.bell.(*pipe).fd
			plug(t, fd)
			for {
				err := notify(handles[0])
				if errors.Is(err, ErrClosed) {
					break
				}
				// Nobody reads; or the fault is under way, which forbids
				// signalling first and closes the notifiers after that.
				if err != nil && !errors.Is(err, unix.EBADF) && !errors.Is(err, errCondemned) {
					require.ErrorIs(t, err, unix.EPIPE)
				}
			}
			ended(t, p, "somebody put another file at descriptor", list)
		})
	}
}

// stranger has, at each number of a doorbell, a file of its own, in which there is a byte.
type stranger struct{ numbers, kept []int }

// takeNumbers has a stranger in place of all of bell's descriptors.
func takeNumbers(t *testing.T, bell doorbell) *stranger {
	t.Helper()
	s := &stranger{numbers: descriptorsOf(bell)}
	for _, fd := range s.numbers {
		kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		s.kept = append(s.kept, kept)
		file, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		_, err = unix.Pwrite(file, []byte("x"), 0)
		require.NoError(t, err)
		require.NoError(t, unix.Dup3(file, fd, unix.O_CLOEXEC))
		require.NoError(t, unix.Close(file))
	}
	return s
}

// leave checks that the stranger's files are what they were, and gives the numbers back.
func (s *stranger) leave(t *testing.T) {
	t.Helper()
	for i, fd := range s.numbers {
		var st unix.Stat_t
		if assert.NoError(t, unix.Fstat(fd, &st), "descriptor %d was closed", fd) {
			assert.EqualValues(t, 1, st.Size, "descriptor %d was written to", fd)
			at, err := unix.Seek(fd, 0, unix.SEEK_CUR)
			require.NoError(t, err)
			assert.Zero(t, at, "descriptor %d was read from or written to", fd)
		}
		require.NoError(t, unix.Dup3(s.kept[i], fd, unix.O_CLOEXEC))
		require.NoError(t, unix.Close(s.kept[i]))
	}
}

// Whoever has the numbers of a doorbell by now is left alone, whatever the poller does
// then: nobody foreign notifies here.
func TestAStrangerIsLeftAlone(t *testing.T) {
	asleep := func(t *testing.T, p *Poller) ([]*Notifier, *stranger) {
		p.watch = 100 * time.Millisecond // only then Close returns
		list, _ := notifiers(t, p, 1)
		settle(t, p)
		return list, takeNumbers(t, p.set.bell)
	}
	for _, backend := range Backends() {
		for name, test := range map[string]func(t *testing.T, p *Poller) *stranger{
			"closed before it started": func(t *testing.T, p *Poller) *stranger {
				s := takeNumbers(t, p.set.bell)
				require.NoError(t, p.Close())
				return s
			},
			"closed asleep": func(t *testing.T, p *Poller) *stranger {
				_, s := asleep(t, p)
				require.NoError(t, p.Close())
				return s
			},
			"its last notifier closed": func(t *testing.T, p *Poller) *stranger {
				list, s := asleep(t, p)
				require.NoError(t, list[0].Close())
				require.NoError(t, p.Close())
				return s
			},
			"broken asleep": func(t *testing.T, p *Poller) *stranger {
				list, s := asleep(t, p)
				ended(t, p, "somebody put another file at descriptor", list)
				return s
			},
			"started anew": func(t *testing.T, p *Poller) *stranger {
				list, _ := notifiers(t, p, 1)
				require.NoError(t, list[0].Close())
				wait(t, "the goroutine to end", func() bool { return retired(p) })
				p.watch = 100 * time.Millisecond
				s := takeNumbers(t, p.set.bell)
				list, handles := notifiers(t, p, 1)
				for range 3 {
					_ = handles[0].Notify()
				}
				ended(t, p, "somebody put another file at descriptor", list)
				return s
			},
			"woken by what it has lost": func(t *testing.T, p *Poller) *stranger {
				p.watch = 100 * time.Millisecond
				_, _ = notifiers(t, p, 1)
				settle(t, p)
				parked(t)
				s := takeNumbers(t, p.set.bell)
				wakeups := p.counts.wakeups.Load()
				atomic.StoreUint32(&p.set.root, 1)
				_, err := unix.Write(s.kept[len(s.kept)-1], one) // the end that is written to
				require.NoError(t, err)
				wait(t, "the poller to wake", func() bool { return p.counts.wakeups.Load() != wakeups })
				settle(t, p)
				return s
			},
		} {
			t.Run(backend+"/"+name, func(t *testing.T) {
				defer hideIdle()()
				p := newPoller(t, WithBackend(backend))
				test(t, p).leave(t)
				require.NoError(t, p.Close())
			})
		}
	}
}

// An eventfd's counter that is at its maximum makes no edge when it is written
// to, and a full pipe takes no byte: both must signal all the same.
func TestDoorbellIsFull(t *testing.T) {
	perCaller(t, func(t *testing.T, p *Poller, notify func(h Handle) error) {
		held, unwrap := holdable(t, p)
		defer unwrap()
		fill := fillers[p.backend]
		if fill == nil {
			t.Skip("it cannot be full")
		}
		list, handles := notifiers(t, p, 2)
		for range 20 {
			settle(t, p)
			fill(t, int(p.set.bell.descriptor()))
			settle(t, p)
			require.NoError(t, notify(handles[0]))
			receive(t, list[0])
			require.NoError(t, notify(handles[1]))
			receive(t, list[1])
		}

		// And with nobody there to read: its poller is held up.
		settle(t, p)
		release := held.hold()
		defer release()
		require.NoError(t, notify(handles[0]))
		wait(t, "the poller to be held up", func() bool { return atomic.LoadUint32(&p.set.asleep)&1 == 0 })
		fill(t, int(p.set.bell.descriptor()))
		require.NoError(t, p.set.bell.signal())
		atomic.StoreUint32(&p.set.asleep, 1)
		require.NoError(t, notify(handles[1]), "full, but a signal is under way")
		release()
		receive(t, list[0])
		receive(t, list[1])
	})
}

// A full doorbell that cannot be emptied is not signalled, and says so. Here the writing end of
// a full pipe is in an eventfd's place.
func TestFullDoorbellCannotBeEmptied(t *testing.T) {
	for name, notify := range callers() {
		t.Run(name, func(t *testing.T) {
			p := newPoller(t, WithBackend("eventfd"))
			p.watch = time.Hour // the next round would tell
			list, handles := notifiers(t, p, 1)
			var ends [2]int
			require.NoError(t, unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
			defer unix.Close(ends[0])
			defer unix.Close(ends[1])
			for bytes := make([]byte, 1<<16); ; {
				if _, err := unix.Write(ends[1], bytes); err != nil {
					require.ErrorIs(t, err, unix.EAGAIN)
					break
				}
			}
			settle(t, p)
			parked(t)
			putBack := takeAway(t, p)
			require.NoError(t, unix.Dup3(ends[1], int(p.set.bell.descriptor()), unix.O_CLOEXEC))
			for range 3 {
				require.ErrorIs(t, notify(handles[0]), unix.EBADF)
			}
			require.Empty(t, list[0].C())
			putBack()
			require.NoError(t, notify(handles[0]))
			receive(t, list[0])
			require.NoError(t, list[0].Err())
		})
	}
}

// A pipe is empty whenever its poller is asleep. Linux since 5.14 makes an edge for each
// write to a pipe that is polled, even one that finds it full; others do not.
func TestPipeIsEmptied(t *testing.T) {
	p := newPoller(t, WithBackend("pipe"))
	list, handles := notifiers(t, p, 1)
	for range 10 {
		settle(t, p)
		require.NoError(t, p.set.bell.signal())
		require.NoError(t, handles[0].Notify())
		receive(t, list[0])
		wait(t, "the pipe to be emptied", func() bool {
			unread, err := unix.IoctlGetInt(p.set.bell.(*pipe).fd, unix.TIOCINQ)
			require.NoError(t, err)
			return unread == 0
		})
	}
}

// The doorbells are close-on-exec and nonblocking.
func TestDescriptorFlags(t *testing.T) {
	for _, backend := range Backends() {
		p := newPoller(t, WithBackend(backend))
		for _, fd := range descriptorsOf(p.set.bell) {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			require.NoError(t, err)
			assert.NotZero(t, flags&unix.FD_CLOEXEC, backend)
			flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			require.NoError(t, err)
			assert.NotZero(t, flags&unix.O_NONBLOCK, backend)
		}
	}
}

// A poller costs descriptors, but no thread: asleep it is a parked goroutine.
func TestPollersTakeNoThread(t *testing.T) {
	for _, backend := range Backends() {
		if takesThread[backend] {
			continue
		}
		before := len(tasks())
		const count = 50
		for range count {
			p := newPoller(t, WithBackend(backend))
			list, handles := notifiers(t, p, 1)
			require.NoError(t, handles[0].Notify())
			receive(t, list[0])
			settle(t, p)
		}
		// The runtime may have made some for its own reasons, but not one each.
		assert.Less(t, len(tasks())-before, count, backend)
	}
}
