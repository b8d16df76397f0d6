//go:build darwin || dragonfly || freebsd

package notifier

// This file holds tests of what only a kqueue does. What every doorbell does is
// in the conformance suite.

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func newKqueue(t *testing.T) *kqueue {
	t.Helper()
	bell, err := openKqueue()
	require.NoError(t, err)
	t.Cleanup(bell.discard)
	return bell.(*kqueue)
}

// looks returns a look that lets the poller sleep so many times.
func looks(sleeps int) func() bool {
	return func() bool {
		sleeps--
		return sleeps < 0
	}
}

func TestKqueueCoalesces(t *testing.T) {
	k := newKqueue(t)
	for range 5 {
		require.NoError(t, k.signal())
	}
	require.NoError(t, k.wait(looks(1), 24*time.Hour), "signals from before the sleep end it")
	require.ErrorIs(t, k.wait(looks(1), time.Millisecond), errSelfCheck, "5 signals were one event")
	require.NoError(t, k.check())
	require.ErrorIs(t, k.wait(looks(1), time.Millisecond), errSelfCheck, "check does not signal")
}

func TestKqueueIsCloseOnExec(t *testing.T) {
	flags, err := unix.FcntlInt(uintptr(newKqueue(t).fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	assert.NotZero(t, flags&unix.FD_CLOEXEC)
}

func TestKqueueReplaced(t *testing.T) {
	k := newKqueue(t)
	require.NoError(t, k.check())

	// Another kqueue, and a file, at the descriptor: neither is signalled.
	other, err := unix.Kqueue()
	require.NoError(t, err)
	require.NoError(t, unix.Close(k.fd))
	require.NoError(t, unix.Dup2(other, k.fd))
	require.ErrorIs(t, k.check(), unix.ENOENT)
	require.ErrorIs(t, k.signal(), unix.ENOENT)
	require.NoError(t, unix.Close(other))

	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Dup2(null, k.fd))
	require.NoError(t, unix.Close(null))
	require.Error(t, k.check())
	require.Error(t, k.signal())
}

// A stranger's doorbell is made as ours is, as that of many event loops: it looks like
// ours by its number and its event. Nothing is taken out of it or changed in it.
func TestKqueueIsAnothersDoorbell(t *testing.T) {
	k := newKqueue(t)
	strangers, err := unix.Kqueue()
	require.NoError(t, err)
	defer unix.Close(strangers)
	event := make([]unix.Kevent_t, 1)
	unix.SetKevent(&event[0], 0, unix.EVFILT_USER, unix.EV_ADD|unix.EV_CLEAR)
	data := new(byte)
	event[0].Udata = data
	event[0].Fflags = unix.NOTE_TRIGGER
	_, err = unix.Kevent(strangers, event, nil, nil)
	require.NoError(t, err)
	require.NoError(t, unix.Dup2(strangers, k.fd))

	require.ErrorIs(t, k.wait(looks(1), time.Millisecond), unix.ENOENT)
	require.ErrorIs(t, k.check(), unix.ENOENT)
	event[0].Udata = nil
	n, err := unix.Kevent(strangers, nil, event, new(unix.Timespec))
	require.NoError(t, err)
	require.Equal(t, 1, n, "it was taken")
	require.Same(t, data, event[0].Udata, "it was changed")
}

// A kqueue that is closed under a blocked poller is a fault that the notifiers
// report.
func TestKqueueClosed(t *testing.T) {
	p := newPoller(t, WithBackend("kqueue"))
	n, err := p.New()
	require.NoError(t, err)
	handleOf(t, n)
	settle(t, p)
	require.NoError(t, unix.Close(p.set.bell.(*kqueue).fd))
	within(t, "the fault", n.Done())
	require.ErrorIs(t, n.Err(), unix.EBADF)
	require.ErrorIs(t, n.handle.Notify(), ErrClosed)
}

// Where the system has no kqueue left, or one that does not take the event, the error
// names the call, nothing is left, and the pipe is chosen where nobody asked for this one.
func TestEachCallOfOpenKqueueFails(t *testing.T) {
	free := func() int { // the number that the next descriptor gets
		fd, err := unix.Dup(0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(fd))
		return fd
	}
	defer hideIdle()() // so that there is something to make
	queue, event := makeKqueue, addEvent
	restore := func() { makeKqueue, addEvent = queue, event }
	defer restore()
	for name, fail := range map[string]func(){
		"kqueue": func() { makeKqueue = func() (int, error) { return -1, unix.EMFILE } },
		"kevent": func() {
			addEvent = func(k *kqueue, ident, flags int, fflags uint32) error {
				require.EqualValues(t, unix.EV_ADD|unix.EV_CLEAR, flags)
				k.fd = ^k.fd // no kqueue
				defer func() { k.fd = ^k.fd }()
				return k.change(ident, flags, fflags)
			}
		},
	} {
		known, number := len(knownSets()), free()
		fail()
		p, err := NewPoller(WithBackend("kqueue"))
		require.ErrorIs(t, err, map[string]error{"kqueue": unix.EMFILE, "kevent": unix.EBADF}[name])
		require.ErrorContains(t, err, "no kqueue doorbell: "+name+":")
		require.Nil(t, p)
		require.Equal(t, known, len(knownSets()), "it is listed")
		require.Equal(t, number, free(), "a descriptor was left behind")

		t.Setenv(backendVariable, "")
		p = newPoller(t)
		require.Equal(t, "pipe", p.Stats().Backend)
		restore()
		for _, p := range []*Poller{p, newPoller(t, WithBackend("kqueue"))} {
			list, handles := notifiers(t, p, 1)
			require.NoError(t, handles[0].Notify())
			receive(t, list[0])
		}
	}
}
