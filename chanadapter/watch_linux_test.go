package chanadapter

// This file holds the tests of Watch for what only epoll does: whom it refuses,
// what it reports, ten thousand descriptors, an epoll set that breaks.

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func eventfd(t testing.TB) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	own(t, fd)
	return fd
}

func signal(fd int) error {
	_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1))
	return err
}

// threads is how many this process has.
func threads(t testing.TB) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(status), "\nThreads:\t")
	n, err := strconv.Atoi(rest[:strings.IndexByte(rest, '\n')])
	require.NoError(t, err)
	return n
}

func TestEpollRefuses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "regular")
	file, err := os.Create(name)
	require.NoError(t, err)
	defer file.Close()
	dir, err := os.Open(filepath.Dir(name))
	require.NoError(t, err)
	defer dir.Close()
	for _, f := range []*os.File{file, dir} {
		_, err := Watch(f.Fd())
		assert.ErrorIs(t, err, unix.EPERM)
		assert.ErrorContains(t, err, "regular file or directory")
	}

	// An epoll set can be watched, but not in a circle.
	inner, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(inner)
	w := mustWatch(t, inner)
	set := sharedSet().mux.(*epollSet).fd
	assert.Error(t, unix.EpollCtl(inner, unix.EPOLL_CTL_ADD, set, &unix.EpollEvent{Events: unix.EPOLLIN}))
	_, err = Watch(uintptr(set))
	assert.ErrorIs(t, err, unix.EBADF)
	outer, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(outer)
	require.NoError(t, unix.EpollCtl(outer, unix.EPOLL_CTL_ADD, set, &unix.EpollEvent{Events: unix.EPOLLIN}))
	_, err = Watch(uintptr(outer))
	assert.ErrorIs(t, err, unix.ELOOP)
	assert.ErrorContains(t, err, "wait for itself")

	fd := eventfd(t)
	require.NoError(t, unix.EpollCtl(inner, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}))
	settle(t)
	none(t, w.C())
	require.NoError(t, signal(fd))
	receive(t, w.C())
}

func TestEpollErrorAndPriority(t *testing.T) {
	r, w := pipe(t)
	closeEarly(t, r)
	n := mustWatch(t, w, Writable())
	receive(t, n.C())
	assert.Equal(t, EventWrite|EventError, n.Ready())

	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(listener)
	require.NoError(t, unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(listener, 1))
	address, err := unix.Getsockname(listener)
	require.NoError(t, err)
	client, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(client)
	accepting := mustWatch(t, listener)
	require.NoError(t, unix.Connect(client, address))
	receive(t, accepting.C())
	server, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(server)
	urgent := mustWatch(t, server, Priority())
	_, err = unix.Write(client, []byte("plain"))
	require.NoError(t, err)
	settle(t)
	none(t, urgent.C())
	require.NoError(t, unix.Sendto(client, []byte("!"), unix.MSG_OOB, nil))
	receive(t, urgent.C())
	assert.Equal(t, EventPriority, urgent.Ready())
}

// TestCloseLeavesNothingInTheEpollSet looks at what the kernel has (proc(5):
// fdinfo has a line "tfd:" for each).
func TestCloseLeavesNothingInTheEpollSet(t *testing.T) {
	stays, _ := pipe(t)
	mustWatch(t, stays)
	registered := func() int {
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", sharedSet().mux.(*epollSet).fd))
		require.NoError(t, err)
		return strings.Count(string(info), "tfd:")
	}
	require.Equal(t, 1, registered())
	r, w := pipe(t)
	n, m := mustWatch(t, r), mustWatch(t, w, Writable())
	require.Equal(t, 3, registered())
	require.NoError(t, n.Close())
	require.NoError(t, m.Close())
	assert.Equal(t, 1, registered())
}

// TestTenThousand: each Watcher hears of its descriptor and of no other, and none
// costs a thread.
func TestTenThousand(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 1_000
	}
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < uint64(count)+100 {
		count = int(limit.Cur) - 100
	}
	fds, watchers := make([]int, count), make([]*Watcher, count)
	for i := range fds {
		fds[i] = eventfd(t)
		watchers[i] = mustWatch(t, fds[i])
	}
	settle(t)
	before := threads(t)
	for _, odd := range []int{0, 1} {
		for i, fd := range fds {
			if i%2 == odd {
				require.NoError(t, signal(fd))
			}
		}
		for i, w := range watchers {
			if i%2 == odd {
				receive(t, w.C())
			}
		}
		for _, w := range watchers {
			none(t, w.C())
		}
	}
	var waiting sync.WaitGroup
	for _, w := range watchers {
		waiting.Go(func() { _ = w.Wait(patience(t)) })
	}
	for _, fd := range fds {
		require.NoError(t, signal(fd))
	}
	waiting.Wait()
	// Not one each: the runtime has some more whenever it likes.
	assert.Less(t, threads(t)-before, count/2)
}

// TestABrokenEpollSetIsAFault: somebody closes the library's descriptor, or puts
// another in its place. All Watchers end with an error, and new ones work.
func TestABrokenEpollSetIsAFault(t *testing.T) {
	require.Nil(t, sharedSet())
	defer func(usual time.Duration) { watchInterval = usual }(watchInterval)
	watchInterval = 50 * time.Millisecond
	r, w := pipe(t)
	for _, closes := range []bool{true, false} {
		n := mustWatch(t, r)
		settle(t) // it is asleep, and only its rounds will tell
		set := sharedSet()
		fd, exited := set.mux.(*epollSet).fd, set.exited
		if closes {
			require.NoError(t, unix.Close(fd))
		} else {
			require.NoError(t, unix.Dup3(w, fd, unix.O_CLOEXEC))
		}
		<-n.Done()
		<-exited
		assert.ErrorContains(t, n.Err(), "the watching of descriptors broke")
		assert.Equal(t, n.Err(), n.Rearm())
		if !closes {
			// Not closed by us: it may be somebody's.
			_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			require.NoError(t, err)
			require.NoError(t, unix.Close(fd))
		}
		again := mustWatch(t, r)
		put(t, w, "x")
		receive(t, again.C())
		drain(r)
		require.NoError(t, n.Close())
		require.NoError(t, again.Close())
	}
}

// TestSetsBreakAtTheSameTime: a new one is made before the old one's Watchers have
// all been told.
func TestSetsBreakAtTheSameTime(t *testing.T) {
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { (&epollSet{}).free(true) })
	}
	group.Wait()
}
