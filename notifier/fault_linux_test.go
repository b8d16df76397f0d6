package notifier

// Tests of one system hold only what that system alone does. This file breaks
// Linux's doorbells: descriptors that are closed, replaced or full behind the
// library's back.

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
)

// callers are those that ring by themselves.
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

// takeAway closes the descriptor that is rung, and returns how to put it back.
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

// parked returns when every poller sleeps in the netpoller: settle cannot tell
// whether one has looked at root already, and would get up by itself for what is
// set there next.
func parked(t *testing.T) {
	t.Helper()
	wait(t, "the pollers to be parked", func() bool {
		for _, stack := range goroutines() {
			if strings.Contains(stack, "notifier.(*Poller).run(") && !strings.Contains(stack, " [IO wait") {
				return false
			}
		}
		return true
	})
}

// While the descriptor is away callers get its errno; nothing is lost once it is
// back and anybody notifies.
func TestDescriptorIsAwayForAWhile(t *testing.T) {
	perCaller(t, func(t *testing.T, p *Poller, notify func(h Handle) error) {
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
			// The poller was in bed; or the fault is under way.
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
// and short rounds.
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

// Another file in its place takes the rings, so nobody learns of it but the
// poller on its rounds.
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
				// ringing first and closes the notifiers after that.
				if err != nil && !errors.Is(err, unix.EBADF) && !errors.Is(err, errCondemned) {
					require.ErrorIs(t, err, unix.EPIPE)
				}
			}
			ended(t, p, "somebody put another file at descriptor", list)
		})
	}
}

// An eventfd's counter that is at its maximum makes no edge when it is written
// to, and a full pipe takes no byte: both must ring all the same.
func TestDoorbellIsFull(t *testing.T) {
	fill := map[string]func(t *testing.T, fd int){
		"eventfd": func(t *testing.T, fd int) {
			var count [8]byte
			_, _ = unix.Read(fd, count[:])
			_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1<<64-2))
			require.NoError(t, err)
		},
		"pipe": func(t *testing.T, fd int) {
			// The poller empties it meanwhile, if it can.
			for bytes := make([]byte, 1<<20); ; {
				if _, err := unix.Write(fd, bytes); err != nil {
					require.ErrorIs(t, err, unix.EAGAIN)
					return
				}
			}
		},
	}
	perCaller(t, func(t *testing.T, p *Poller, notify func(h Handle) error) {
		list, handles := notifiers(t, p, 2)
		for range 20 {
			settle(t, p)
			fill[p.backend](t, int(p.set.bell.descriptor()))
			settle(t, p)
			require.NoError(t, notify(handles[0]))
			receive(t, list[0])
			require.NoError(t, notify(handles[1]))
			receive(t, list[1])
		}

		// And with nobody there to read: its poller is held up.
		settle(t, p)
		release := locked(list[0])
		defer release()
		require.NoError(t, notify(handles[0]))
		fill[p.backend](t, int(p.set.bell.descriptor()))
		require.NoError(t, p.set.bell.ring())
		atomic.StoreUint32(&p.set.asleep, 1)
		require.NoError(t, notify(handles[1]), "full, but a ring is under way")
		release()
		receive(t, list[0])
		receive(t, list[1])
	})
}

// A full doorbell that cannot be emptied is not rung, and says so. Here the writing end of
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

// A pipe is empty whenever its poller is in bed. Linux since 5.14 makes an edge for each
// write to a pipe that is polled, even one that finds it full; others do not.
func TestPipeIsEmptied(t *testing.T) {
	p := newPoller(t, WithBackend("pipe"))
	list, handles := notifiers(t, p, 1)
	for range 10 {
		settle(t, p)
		require.NoError(t, p.set.bell.ring())
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

// A poller costs descriptors, but no thread: in bed it is a parked goroutine.
func TestPollersTakeNoThread(t *testing.T) {
	for _, backend := range Backends() {
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
