//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package chanadapter

// This file holds the tests of Watch for what only kqueue does: what it cannot
// tell, keys that are no pointers, a queue that breaks.

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestKqueueHasNoPriority(t *testing.T) {
	r, _ := pipe(t)
	_, err := Watch(uintptr(r), Priority())
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	mustWatch(t, r)
}

// TestKeysAreNoPointers has stacks grow and the collector run while keys lie in
// fields that are pointers to the system's declaration.
func TestKeysAreNoPointers(t *testing.T) {
	r, w := pipe(t)
	var grow func(int) int
	grow = func(n int) int {
		var room [128]byte
		if n == 0 {
			return int(room[5])
		}
		return grow(n-1) + int(room[n%128])
	}
	for range 50 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			n, err := Watch(uintptr(r))
			if assert.NoError(t, err) {
				put(t, w, "x")
				receive(t, n.C())
				grow(200)
				assert.NoError(t, n.Rearm())
				drain(r)
				assert.NoError(t, n.Close())
			}
		}()
		runtime.GC()
		<-done
	}
}

// TestABrokenKqueueIsAFault: somebody closes the library's descriptor, or puts another
// in its place. All Watchers end with an error, and new ones work. What is there by
// then is not closed.
func TestABrokenKqueueIsAFault(t *testing.T) {
	defer func(usual time.Duration) { watchInterval = usual }(watchInterval)
	watchInterval = 50 * time.Millisecond
	r, w := pipe(t)
	strangers, err := unix.Kqueue()
	require.NoError(t, err)
	own(t, strangers)
	for name, by := range map[string]int{"closed": -1, "pipe": r, "kqueue": strangers} {
		for _, finds := range []string{"self-check", "Watch", "Rearm"} {
			t.Run(name+"/"+finds, func(t *testing.T) {
				require.Nil(t, sharedSet())
				n := mustWatch(t, r)
				settle(t)
				set := sharedSet()
				fd := set.mux.(*kqueueSet).fd
				if by < 0 {
					require.NoError(t, unix.Close(fd))
				} else {
					require.NoError(t, dup2(by, fd))
					defer func() { assert.NoError(t, unix.Close(fd), "it was a stranger's") }()
				}
				switch finds {
				case "Watch":
					again := mustWatch(t, w, Writable())
					require.False(t, set == again.reg.set, "it is in the broken set")
					require.NoError(t, again.Close())
				case "Rearm":
					require.ErrorContains(t, n.Rearm(), "the watching of descriptors broke")
				}
				<-n.Done()
				<-set.exited
				assert.ErrorContains(t, n.Err(), "the watching of descriptors broke")
				again := mustWatch(t, r)
				put(t, w, "x")
				receive(t, again.C())
				drain(r)
				require.NoError(t, again.Close())
			})
		}
	}
}

// A stranger's file at a number of the pipe that ends a set is neither written to nor
// closed.
func TestTheQuitPipeIsAnothers(t *testing.T) {
	for i, end := range []string{"read", "written"} {
		t.Run(end, func(t *testing.T) {
			mux, err := newMultiplexer(kind{})
			require.NoError(t, err)
			s := mux.(*kqueueSet)
			r, w := pipe(t)
			require.NoError(t, dup2([]int{r, w}[i], s.quit[i]))
			s.shut()
			s.free()
			_, err = unix.Read(r, make([]byte, 1))
			assert.ErrorIs(t, err, unix.EAGAIN, "nothing was written")
			assert.NoError(t, unix.Close(s.quit[i]), "it was a stranger's")
			if i == 0 {
				assert.NoError(t, unix.Close(s.fd), "whether that one is ours cannot be told")
			}
		})
	}
}

// A stranger's queue, with a pipe of its own in it, has come to all numbers of ours, as
// after closefrom(3): nothing is taken out of it, and it is not closed.
func TestAStrangersQueueLooksLikeOurs(t *testing.T) {
	mux, err := newMultiplexer(kind{})
	require.NoError(t, err)
	s := mux.(*kqueueSet)
	r, w := pipe(t)
	strangers, err := unix.Kqueue()
	require.NoError(t, err)
	for by, number := range map[int]int{strangers: s.fd, r: s.quit[0], w: s.quit[1]} {
		require.NoError(t, dup2(by, number))
		defer func() { assert.NoError(t, unix.Close(number), "it was a stranger's") }()
	}
	require.NoError(t, unix.Close(strangers))
	event := newEvents(1)
	unix.SetKevent(&event[0], s.quit[0], unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR)
	*keyOf(&event[0]) = 7
	_, err = unix.Kevent(s.fd, event, nil, nil)
	require.NoError(t, err)
	put(t, w, "x")
	assert.ErrorIs(t, s.wait(func(uintptr, Events) bool { s.ended.Store(true); return true }), errBroken)
	s.shut()
	s.free()
	n, err := unix.Kevent(s.fd, nil, event, new(unix.Timespec))
	require.NoError(t, err)
	assert.Equal(t, 1, n, "it was taken")
	n, err = unix.Read(r, make([]byte, 8))
	require.NoError(t, err)
	assert.Equal(t, 1, n, "something was written")
}

// settleGroups has nothing to do: no group has a set of its own.
func settleGroups(testing.TB) {}
