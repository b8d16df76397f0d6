package chanadapter

// This file holds the tests of Watch for what only epoll does: whom it refuses,
// what it reports, ten thousand descriptors, an epoll set that breaks.

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
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
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	path, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(path)
	for _, c := range []struct {
		fd   uintptr
		is   error
		says string
	}{
		{file.Fd(), unix.EPERM, "a regular file is always ready"},
		{dir.Fd(), unix.EPERM, "a directory is always ready"},
		{null.Fd(), unix.EPERM, "a device without poll(2), such as /dev/null, is always ready"},
		{uintptr(path), unix.EBADF, "it was opened with O_PATH"},
	} {
		_, err := Watch(c.fd)
		assert.ErrorIs(t, err, c.is)
		assert.ErrorContains(t, err, c.says)
		assert.ErrorContains(t, err, fmt.Sprintf("descriptor %d", c.fd))
	}

	// An epoll set can be watched, but not in a circle.
	inner, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(inner)
	w := mustWatch(t, inner)
	set := w.reg.set.mux.(*epollSet).fd
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

	// Nor more than four in each other, of which the library's is one.
	deepest := inner
	for range 4 {
		next, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		require.NoError(t, err)
		defer unix.Close(next)
		require.NoError(t, unix.EpollCtl(next, unix.EPOLL_CTL_ADD, deepest, &unix.EpollEvent{Events: unix.EPOLLIN}))
		deepest = next
	}
	_, err = Watch(uintptr(deepest))
	assert.ErrorIs(t, err, unix.ELOOP)
	assert.ErrorContains(t, err, "more than four in each other")

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
	require.Equal(t, 2, registered(), "one is the set's own")
	r, w := pipe(t)
	n, m := mustWatch(t, r), mustWatch(t, w, Writable())
	require.Equal(t, 4, registered())
	require.NoError(t, n.Close())
	require.NoError(t, m.Close())
	assert.Equal(t, 2, registered())
}

// TestTenThousand: each Watcher hears of its descriptor and of no other, and none
// costs a thread.
func TestTenThousand(t *testing.T) {
	count := 10_000
	if !testenv.Long() {
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

// waitsIn returns when a thread sleeps in epoll_pwait(2) for the set (proc_pid_syscall(5)).
func waitsIn(t testing.TB, set int) {
	t.Helper()
	numbers := []int{unix.SYS_EPOLL_PWAIT}
	if os.Getenv("WAKECHAN_EMULATOR") != "" {
		numbers = []int{281, 22} // the call is the emulator's, on amd64 or arm64
	}
	for ctx := patience(t); ; runtime.Gosched() {
		require.NoError(t, context.Cause(ctx), "nobody waits in set %d", set)
		threads, err := filepath.Glob("/proc/self/task/*/syscall")
		require.NoError(t, err)
		known := false
		for _, name := range threads {
			text, err := os.ReadFile(name)
			known = known || err == nil
			for _, number := range numbers {
				if strings.HasPrefix(string(text), fmt.Sprintf("%d %#x ", number, set)) {
					return
				}
			}
		}
		if !known {
			return // not every kernel says
		}
	}
}

// TestABrokenEpollSetIsAFault: somebody closes the library's descriptor, or puts
// another in its place. All Watchers end with an error, and new ones work. What is
// there by then is not looked at and not closed.
func TestABrokenEpollSetIsAFault(t *testing.T) {
	defer func(usual time.Duration) { watchInterval = usual }(watchInterval)
	r, w := pipe(t)
	// A stranger's epoll set, in which the same descriptor has something to tell.
	strangers, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(t, err)
	own(t, strangers)
	told, tell := pipe(t)
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	require.NoError(t, err)
	own(t, timer)
	terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	own(t, terminal)
	ownSetFrom(t, 0)
	g := mustGroup(t)
	const closed = -1
	for name, by := range map[string]int{
		"closed": closed, "pipe": w, "epoll": strangers, "timerfd": timer, "eventfd": eventfd(t),
	} {
		for kind, watched := range map[string]int{"parked": r, "blocked": terminal, "a group's": r, "a group's gate": r} {
			for _, finds := range []string{"self-check", "Watch", "Rearm", "Ready"} {
				var opts []Option
				if strings.HasPrefix(kind, "a group's") {
					opts = append(opts, In(g))
				} else if finds == "Ready" {
					continue
				}
				if kind == "a group's gate" && finds == "Rearm" {
					continue // it does not need the gate; the next look finds out
				}
				t.Run(name+"/"+kind+"/"+finds, func(t *testing.T) {
					require.Nil(t, sharedSet())
					watchInterval = 20 * time.Millisecond
					if finds != "self-check" {
						watchInterval = 10 * time.Second // the calls must not wait for it
						if kind == "blocked" {
							watchInterval = 100 * time.Millisecond // but the goroutine
						}
					}
					n := mustWatch(t, watched, append(opts, Interest(EventRead|EventWrite))...)
					s := n.reg.set
					files := filesOf(s)
					lost := files.fd
					switch kind {
					case "parked":
						settle(t) // it may be just about to look
					case "blocked":
						waitsIn(t, lost) // the same
					case "a group's gate":
						lost = files.gate
						fallthrough
					case "a group's":
						require.NotEqual(t, files.fd, files.gate)
						put(t, w, "x")
						settle(t)
						defer drain(r)
					}
					if by == closed {
						require.NoError(t, unix.Close(lost))
					} else {
						require.NoError(t, unix.Dup3(by, lost, unix.O_CLOEXEC))
						defer unix.Close(lost)
					}
					if by == strangers {
						e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(n.reg.key)}
						require.NoError(t, unix.EpollCtl(strangers, unix.EPOLL_CTL_ADD, told, &e))
						put(t, tell, "x")
						defer drain(told)
					}
					switch finds {
					case "Watch":
						again := mustWatch(t, watched, append(opts, Writable())...)
						require.False(t, s == again.reg.set, "it is in the broken set")
						require.NoError(t, again.Close())
					case "Rearm":
						require.ErrorContains(t, n.Rearm(), "the watching of descriptors broke")
					case "Ready":
						receive(t, g.C())
						all(g)
					}
					<-n.Done()
					require.ErrorContains(t, n.Err(), "the watching of descriptors broke")
					require.Equal(t, n.Err(), n.Rearm())
					require.Equal(t, n.Err(), n.Change(Readable()))
					if finds == "self-check" {
						<-s.exited
					}
					again := mustWatch(t, watched, append(opts, Writable(), OneShot())...)
					if watched == terminal {
						receive(t, again.C())
					}
					require.NoError(t, n.Close())
					require.NoError(t, again.Close())
					if by != closed {
						_, err := unix.FcntlInt(uintptr(lost), unix.F_GETFD, 0)
						require.NoError(t, err, "it was a stranger's")
					}
					if by == strangers {
						var events [8]unix.EpollEvent
						count, err := unix.EpollWait(strangers, events[:], 0)
						require.NoError(t, err)
						require.Equal(t, 1, count, "something was taken out of it, or put into it")
						require.NoError(t, unix.EpollCtl(strangers, unix.EPOLL_CTL_DEL, told, nil))
					}
					if finds != "self-check" { // nobody tells the goroutine
						s.mux.(*epollSet).hurry()
						<-s.exited
					}
				})
			}
		}
	}
}

func filesOf(s *watchSet) epollFiles {
	set := s.mux.(*epollSet)
	set.mu.Lock()
	defer set.mu.Unlock()
	return set.epollFiles
}

// TestTheNextSetHasTheSameNumbers: a stranger has closed all that a set has. The old set
// must neither take what is the new one's nor close it.
func TestTheNextSetHasTheSameNumbers(t *testing.T) {
	for name, groups := range map[string][]*Group{
		"shared": {nil, nil}, "of groups": {mustGroup(t), mustGroup(t)},
	} {
		t.Run(name, func(t *testing.T) {
			ownSetFrom(t, 0)
			watching := func(fd int, g *Group) (*Watcher, *watchSet, epollFiles) {
				var opts []Option
				if g != nil {
					opts = append(opts, In(g))
				}
				w := mustWatch(t, fd, opts...)
				return w, w.reg.set, filesOf(w.reg.set)
			}
			r, put1 := pipe(t)
			r2, put2 := pipe(t)
			old, oldSet, oldFiles := watching(r, groups[0])
			if groups[0] != nil {
				put(t, put1, "x") // its token is there
			}
			settle(t)
			for { // take the free numbers below
				fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
				require.NoError(t, err)
				own(t, fd)
				if fd > oldFiles.bell {
					break
				}
			}
			_ = unix.Close(oldFiles.fd)
			_ = unix.Close(oldFiles.bell)
			if oldFiles.gate != oldFiles.fd {
				_ = unix.Close(oldFiles.gate)
			}
			next, _, files := watching(r2, groups[1])
			if files.fd != oldFiles.fd || files.bell != oldFiles.bell || files.gate != oldFiles.gate {
				t.Skip("other numbers")
			}
			assert.False(t, oldFiles.intact())
			put(t, put2, "x")
			receive(t, next.C())
			if groups[0] == nil {
				oldSet.mux.(*epollSet).hurry()
			} else {
				all(groups[0])
				<-old.Done()
				found, _ := all(groups[1])
				assert.Equal(t, []*Watcher{next}, found)
				oldSet.mux.(*epollSet).hurry()
			}
			<-oldSet.exited
			require.NoError(t, old.Close())
			assert.True(t, files.intact(), "they were the next one's")
			drain(r2)
			if g := groups[1]; g != nil {
				all(g)
			}
			put(t, put2, "y")
			receive(t, next.C())
			require.NoError(t, next.Close())
		})
	}
}

// TestAStrangersSetLooksLikeOurs: whoever closes all descriptors, and makes an epoll set
// with an eventfd in it, as event loops do, may get the numbers of ours. Nothing is taken
// out of it, and nothing written.
func TestAStrangersSetLooksLikeOurs(t *testing.T) {
	ownSetFrom(t, 0)
	for name, g := range map[string]*Group{"shared": nil, "of a group": mustGroup(t)} {
		t.Run(name, func(t *testing.T) {
			var opts []Option
			if g != nil {
				opts = append(opts, In(g))
			}
			r, _ := pipe(t)
			w := mustWatch(t, r, opts...)
			settle(t)
			s := w.reg.set
			files := filesOf(s)
			strangers, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
			require.NoError(t, err)
			bell := eventfd(t)
			for number, by := range map[int]int{files.fd: strangers, files.gate: strangers, files.bell: bell} {
				require.NoError(t, unix.Dup3(by, number, unix.O_CLOEXEC))
				defer func() { assert.NoError(t, unix.Close(number), "it was a stranger's") }()
			}
			require.NoError(t, unix.Close(strangers))
			require.NoError(t, signal(files.bell))
			e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: 7}
			require.NoError(t, unix.EpollCtl(files.fd, unix.EPOLL_CTL_ADD, files.bell, &e))

			s.mux.(*epollSet).hurry()
			receive(t, w.Done())
			<-s.exited
			require.NoError(t, w.Close())
			var events [8]unix.EpollEvent
			n, err := unix.EpollWait(files.fd, events[:], 0)
			require.NoError(t, err)
			assert.Equal(t, 1, n, "it was taken")
			var count [8]byte
			_, err = unix.Read(bell, count[:])
			require.NoError(t, err)
			assert.EqualValues(t, 1, binary.NativeEndian.Uint64(count[:]), "it was written to")
		})
	}
}

// hurry has a goroutine look after its set that is parked until the next self-check. One
// that was about to look by itself may have ended, and closed the file: then it fails.
func (s *epollSet) hurry() {
	if s.file != nil {
		_ = s.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// TestOrphans: the owner closes first, and a duplicate is written to and read, as in a
// child. After some wake-ups the kernel's set has it no more, and the others go on.
func TestOrphans(t *testing.T) {
	for _, name := range []string{"Close after the owner", "no Close", "the number is another's"} {
		t.Run(name, func(t *testing.T) { orphan(t, name) })
		t.Run("in a group's own set/"+name, func(t *testing.T) {
			ownSetFrom(t, 0)
			orphan(t, name)
		})
	}
}

func orphan(t *testing.T, name string) {
	quiet, quietEnd := pipe(t)
	once, onceEnd := pipe(t)
	g := mustGroup(t)
	others := []*Watcher{mustWatch(t, quiet, In(g)), mustWatch(t, once, In(g), OneShot())}
	r, w := pipe(t)
	twin, err := unix.Dup(r)
	require.NoError(t, err)
	own(t, twin)
	n := mustWatch(t, r, In(g))
	switch name {
	case "the number is another's":
		another, _ := pipe(t)
		require.NoError(t, dup2(another, r))
	default:
		closeEarly(t, r)
	}
	if name == "Close after the owner" {
		require.NoError(t, n.Close())
	}
	set := n.reg.set
	registered := func() (fd, count int) {
		set.ctl.Lock()
		defer set.ctl.Unlock()
		fd = filesOf(set).fd
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
		require.NoError(t, err)
		return fd, strings.Count(string(info), "tfd:")
	}
	before, count := registered()
	require.Equal(t, 4, count)
	for ctx := patience(t); count != 3; _, count = registered() {
		require.NoError(t, context.Cause(ctx))
		var ranging sync.WaitGroup
		ranging.Go(func() { all(g) }) // perhaps while it is renewed
		put(t, w, "x")
		settle(t)
		all(g)
		drain(twin)
		ranging.Wait()
	}
	after, _ := registered()
	assert.NotEqual(t, before, after)
	if name != "Close after the owner" {
		assert.ErrorIs(t, n.Err(), unix.EBADF)
	}
	for range 3 {
		put(t, quietEnd, "x")
		put(t, onceEnd, "x")
		for found := map[*Watcher]bool{}; len(found) != 2; {
			receive(t, g.C())
			for w, e := range g.Ready() {
				assert.Equal(t, EventRead, e)
				found[w] = true
			}
		}
		drain(quiet)
		drain(once)
		require.NoError(t, others[1].Rearm())
	}
}

// TestOwnersAreVerifiedForNothing: a descriptor that is found ready again and again is
// no orphan.
func TestOwnersAreVerifiedForNothing(t *testing.T) {
	fd := eventfd(t)
	n := mustWatch(t, fd)
	for range 5 * suspicious {
		require.NoError(t, signal(fd))
		receive(t, n.C())
	}
	settle(t)
	none(t, n.C())
	require.NoError(t, n.Err())
}

// TestChangeIsOneCall of the system, and so is Rearm.
func TestChangeIsOneCall(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		n := mustWatch(t, eventfd(t))
		for _, f := range []func(){
			func() { _ = n.Rearm() },
			func() { _ = n.Change(Writable(), OneShot()) },
			func() { _ = n.Change(Interest(EventRead | EventWrite)) },
		} {
			require.Less(t, c.Fail(2, unix.ENOMEM, f), 0, "there was a second one")
			require.Equal(t, unix.SYS_EPOLL_CTL, c.Fail(1, unix.ENOMEM, f))
		}
	})
}
