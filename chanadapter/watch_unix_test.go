//go:build linux || darwin || freebsd || dragonfly || netbsd || openbsd

package chanadapter

// This file holds the conformance tests of Watch on pipes and sockets, which run
// on every unix that has a multiplexer. What only one system does is in
// watch_linux_test.go and watch_kqueue_test.go.

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// pipe returns the ends of a nonblocking pipe that the runtime knows nothing of.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	require.NoError(t, unix.Pipe(p[:]))
	for _, fd := range p {
		unix.CloseOnExec(fd)
		require.NoError(t, unix.SetNonblock(fd, true))
	}
	own(t, p[0])
	own(t, p[1])
	return p[0], p[1]
}

// What owned_test.go needs.
type number = int

var closeNumber = unix.Close

func open(t testing.TB) number {
	fd, err := unix.Dup(0)
	require.NoError(t, err)
	return fd
}

func socketpair(t testing.TB) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	for _, fd := range p {
		unix.CloseOnExec(fd)
		require.NoError(t, unix.SetNonblock(fd, true))
	}
	own(t, p[0])
	own(t, p[1])
	return p[0], p[1]
}

func mustWatch(t testing.TB, fd int, opts ...Option) *Watcher {
	t.Helper()
	w, err := Watch(uintptr(fd), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func put(t testing.TB, fd int, s string) {
	t.Helper()
	_, err := unix.Write(fd, []byte(s))
	require.NoError(t, err)
}

// drain reads until fd would block, and returns how much there was.
func drain(fd int) (total int) {
	var b [4096]byte
	for {
		n, err := unix.Read(fd, b[:])
		if n > 0 {
			total += n
		} else if err != unix.EINTR {
			return total
		}
	}
}

// settle returns when the watching goroutine has dealt with everything that
// happened before: it reports twice on a descriptor of its own. Not every
// system reports in the order of the events, but each goes through all of them
// before it reports on one again.
func settle(t testing.TB) {
	t.Helper()
	r, w := pipe(t)
	defer func() { closeEarly(t, r); closeEarly(t, w) }()
	s := mustWatch(t, r)
	defer s.Close()
	for range 2 {
		put(t, w, "x")
		receive(t, s.C())
		drain(r)
	}
	settleGroups(t)
}

func TestWatchPipe(t *testing.T) {
	r, w := pipe(t)
	n := mustWatch(t, r)
	settle(t)
	none(t, n.C())

	put(t, w, "1")
	receive(t, n.C())
	assert.Equal(t, EventRead, n.Ready()&(EventRead|EventWrite))
	assert.Zero(t, n.Ready(), "Ready forgets")
	settle(t)
	none(t, n.C()) // still readable, and announced

	put(t, w, "2") // more came: told again although nothing was drained
	receive(t, n.C())
	assert.Equal(t, 2, drain(r))

	for range 5 {
		put(t, w, "x")
	}
	settle(t)
	receive(t, n.C())
	none(t, n.C())
	assert.Equal(t, 5, drain(r))
	settle(t)
	none(t, n.C())
	assert.NoError(t, n.Err())
}

func TestWatchFindsWhatWasThereBefore(t *testing.T) {
	r, w := pipe(t)
	put(t, w, "early")
	for range 3 { // Close leaves nothing behind in the kernel
		n := mustWatch(t, r)
		receive(t, n.C())
		require.NoError(t, n.Close())
	}
}

func TestWatchOneShot(t *testing.T) {
	r, w := pipe(t)
	n := mustWatch(t, r, OneShot())
	put(t, w, "1")
	receive(t, n.C())
	put(t, w, "2")
	settle(t)
	none(t, n.C()) // disarmed

	require.NoError(t, n.Rearm())
	receive(t, n.C()) // readable still
	assert.Equal(t, 2, drain(r))
	require.NoError(t, n.Rearm())
	settle(t)
	none(t, n.C())

	put(t, w, "3")
	receive(t, n.C())
	drain(r)
	put(t, w, "4")
	settle(t)
	none(t, n.C())
}

func TestRearmOfAnEdgeWatchLooksAnew(t *testing.T) {
	r, w := pipe(t)
	n := mustWatch(t, r)
	put(t, w, "12")
	receive(t, n.C())
	require.NoError(t, n.Rearm())
	receive(t, n.C())
	drain(r)
	require.NoError(t, n.Rearm())
	settle(t)
	none(t, n.C())
	put(t, w, "3") // and it is still watched
	receive(t, n.C())
}

func TestWatchDirections(t *testing.T) {
	a, b := socketpair(t)
	n := mustWatch(t, a, Writable())
	receive(t, n.C())
	assert.Equal(t, EventWrite, n.Ready())
	put(t, b, "to be ignored")
	// Fill it, so that "not writable" has an end that is seen.
	chunk := make([]byte, 1<<16)
	for {
		if _, err := unix.Write(a, chunk); err != nil {
			require.Equal(t, unix.EAGAIN, err)
			break
		}
	}
	settle(t)
	select { // epoll tells of the room that is left at any edge, such as b's
	case <-n.C():
	default:
	}
	n.Ready()
	drain(b)
	receive(t, n.C())
	assert.NotZero(t, n.Ready()&EventWrite)
	require.NoError(t, n.Close())

	both := mustWatch(t, a, Readable(), Writable())
	var seen Events
	for seen&(EventRead|EventWrite) != EventRead|EventWrite {
		receive(t, both.C())
		seen |= both.Ready()
	}
}

func TestWatchHangUp(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		r, w := pipe(t)
		n := mustWatch(t, r)
		closeEarly(t, w)
		receive(t, n.C())
		assert.NotZero(t, n.Ready()&EventHangUp)
	})
	t.Run("socket", func(t *testing.T) {
		a, b := socketpair(t)
		n := mustWatch(t, a)
		require.NoError(t, unix.Shutdown(b, unix.SHUT_WR))
		receive(t, n.C())
		assert.Equal(t, EventRead|EventHangUp, n.Ready()&^EventWrite)
	})
}

// TestWatchTouchesNothing compares what a descriptor is before and afterwards.
func TestWatchTouchesNothing(t *testing.T) {
	r, w := pipe(t)
	require.NoError(t, unix.SetNonblock(r, false))
	flags := func() (f [2]int) {
		var err error
		f[0], err = unix.FcntlInt(uintptr(r), unix.F_GETFL, 0)
		require.NoError(t, err)
		f[1], err = unix.FcntlInt(uintptr(r), unix.F_GETFD, 0)
		require.NoError(t, err)
		return f
	}
	before := flags()
	n := mustWatch(t, r)
	put(t, w, "abc")
	receive(t, n.C())
	require.NoError(t, n.Rearm())
	require.NoError(t, n.Close())
	assert.Equal(t, before, flags())
	var b [8]byte
	count, err := unix.Read(r, b[:])
	require.NoError(t, err)
	assert.Equal(t, "abc", string(b[:count]))
}

func TestWatchRefusals(t *testing.T) {
	r, end := pipe(t)
	fd, _ := pipe(t)
	closeEarly(t, fd) // the set may get its number
	gone, _ := pipe(t)
	first := mustWatch(t, r)
	closeEarly(t, gone)
	for name, c := range map[string]struct {
		fd   uintptr
		is   error
		says string
	}{
		"closed":    {uintptr(fd), unix.EBADF, "not open"},
		"gone":      {uintptr(gone), unix.EBADF, "not open"},
		"negative":  {^uintptr(0), unix.EBADF, "-1: it is negative"},
		"too large": {1 << 31, unix.EBADF, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := Watch(c.fd)
			assert.Nil(t, w)
			require.ErrorIs(t, err, c.is)
			assert.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, "chanadapter: ")
		})
	}
	put(t, end, "for the first") // which the others have not silenced
	receive(t, first.C())
}

// TestTheGoroutineEndsWithTheLast: and one that never began is not left behind.
func TestTheGoroutineEndsWithTheLast(t *testing.T) {
	_, err := Watch(^uintptr(0))
	require.Error(t, err)
	require.Nil(t, sharedSet())
	r, w := pipe(t)
	for range 20 {
		a, b := mustWatch(t, r), mustWatch(t, w, Writable())
		set := sharedSet()
		require.NotNil(t, set)
		require.NoError(t, a.Close())
		require.True(t, set == sharedSet())
		require.NoError(t, b.Close())
		require.Nil(t, sharedSet())
		// Its last instructions come after it said so.
		goroutinesEnd(t, 0)
	}
}

// goroutinesEnd waits until there are so many of the package's that are no test's.
func goroutinesEnd(t testing.TB, count int) {
	t.Helper()
	for ctx := patience(t); len(ourGoroutinesBut()) > count; runtime.Gosched() {
		require.NoError(t, context.Cause(ctx), "%v", ourGoroutinesBut())
	}
}

// ourGoroutinesBut returns the package's goroutines that are no test's.
func ourGoroutinesBut() (stacks []string) {
	for _, s := range ourGoroutines() {
		if !strings.Contains(s, "testing.tRunner") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

func TestWatchClose(t *testing.T) {
	r, w := pipe(t)
	n := mustWatch(t, r)
	ended := make(chan error, 8)
	for range cap(ended) {
		go func() { ended <- n.Wait(context.Background()) }()
	}
	done := n.Done()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { assert.NoError(t, n.Close()) })
	}
	all.Wait()
	for range cap(ended) {
		assert.Equal(t, ErrClosed, <-ended)
	}
	<-done
	put(t, w, "late")
	settle(t)
	none(t, n.C())
	assert.Equal(t, ErrClosed, n.Err())
	assert.Equal(t, ErrClosed, n.Rearm())
	assert.Equal(t, ErrClosed, n.Wait(context.Background()))
	assert.ErrorIs(t, n.Err(), os.ErrClosed)

	// A token that was there can still be received.
	n = mustWatch(t, r)
	settle(t)
	require.NoError(t, n.Close())
	assert.NoError(t, n.Wait(context.Background()))
	assert.Equal(t, ErrClosed, n.Wait(context.Background()))
}

func TestWatchWaitEndsWithItsContext(t *testing.T) {
	r, _ := pipe(t)
	n := mustWatch(t, r)
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error)
	go func() { ended <- n.Wait(ctx) }()
	cancel(why)
	assert.Equal(t, why, <-ended)
}

func TestWatcherNilAndZero(t *testing.T) {
	for name, w := range map[string]*Watcher{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { w.C() })
			assert.Equal(t, ErrClosed, w.Wait(context.Background()))
			assert.Equal(t, ErrClosed, w.Rearm())
			assert.Equal(t, ErrClosed, w.Err())
			assert.NoError(t, w.Close())
			assert.Zero(t, w.Ready())
			<-w.Done()
		})
	}
}

func TestWatchRefusesABubble(t *testing.T) {
	r, _ := pipe(t)
	synctest.Test(t, func(t *testing.T) {
		_, err := Watch(uintptr(r))
		assert.ErrorContains(t, err, "synctest")
	})
}

// TestNoTokenAfterClose closes watches while somebody writes.
func TestNoTokenAfterClose(t *testing.T) {
	r, w := pipe(t)
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		var b [1]byte
		for !stop.Load() {
			_, _ = unix.Write(w, b[:])
			_, _ = unix.Read(r, b[:])
		}
	})
	defer func() { stop.Store(true); writer.Wait() }()
	rounds := 2000
	if !testenv.Long() {
		rounds = 200
	}
	for range rounds {
		n := mustWatch(t, r)
		receive(t, n.C())
		require.NoError(t, n.Close())
		select {
		case <-n.C():
		default:
		}
		runtime.Gosched()
		none(t, n.C())
	}
}

// TestNumbersUsedAgain: the owner closes first, and the number names another file
// when the Watcher is closed.
func TestNumbersUsedAgain(t *testing.T) {
	// another makes number name the reading end of a new pipe.
	another := func(t *testing.T, number int) (w int) {
		r, w := pipe(t)
		require.NoError(t, dup2(r, number))
		return w
	}
	// One that stays, so that what the kernel still has for the others does, too.
	stays, _ := pipe(t)
	mustWatch(t, stays)
	t.Run("unwatched", func(t *testing.T) {
		r, w1 := pipe(t)
		old := mustWatch(t, r)
		closeEarly(t, w1)
		w := another(t, r)
		settle(t)
		select { // it saw the hang-up
		case <-old.C():
		default:
		}
		put(t, w, "for nobody")
		settle(t)
		none(t, old.C())
		require.NoError(t, old.Close())
		n := mustWatch(t, r)
		receive(t, n.C())
		none(t, old.C())
	})
	t.Run("watched", func(t *testing.T) {
		r, _ := pipe(t)
		old := mustWatch(t, r)
		w := another(t, r)
		n := mustWatch(t, r)
		<-old.Done() // told, and not silently deaf
		require.ErrorIs(t, old.Err(), unix.EBADF)
		assert.ErrorContains(t, old.Err(), "owner closed it")
		assert.Equal(t, old.Err(), old.Rearm())
		put(t, w, "1")
		receive(t, n.C())
		none(t, old.C())
		require.NoError(t, old.Close()) // must not take n's watch away
		put(t, w, "2")
		receive(t, n.C())
	})
	t.Run("rearmed", func(t *testing.T) {
		r, _ := pipe(t)
		old := mustWatch(t, r, OneShot())
		another(t, r)
		assert.ErrorIs(t, old.Rearm(), unix.EBADF)
		<-old.Done()
		assert.ErrorIs(t, old.Err(), unix.EBADF)
		assert.ErrorIs(t, old.Wait(context.Background()), unix.EBADF)
		mustWatch(t, r)
	})
	t.Run("a duplicate lives on", func(t *testing.T) {
		r, w := pipe(t)
		twin, err := unix.Dup(r)
		require.NoError(t, err)
		defer unix.Close(twin)
		old := mustWatch(t, r)
		closeEarly(t, r)
		require.NoError(t, old.Close())
		put(t, w, "to the twin")
		settle(t)
		none(t, old.C())
		require.NoError(t, dup2(twin, r)) // the same file at the same number again
		defer unix.Close(r)
		n := mustWatch(t, r)
		receive(t, n.C())
		drain(r)
		put(t, w, "more")
		receive(t, n.C())
		none(t, old.C())
		require.NoError(t, n.Close())
		put(t, w, "and more")
		settle(t)
		none(t, n.C())
	})
	t.Run("a duplicate comes back while another Watcher was there", func(t *testing.T) {
		r, w := pipe(t)
		twin, err := unix.Dup(r)
		require.NoError(t, err)
		defer unix.Close(twin)
		first := mustWatch(t, r)
		another(t, r)
		second := mustWatch(t, r)
		require.NoError(t, second.Close())
		require.NoError(t, dup2(twin, r))
		third := mustWatch(t, r)
		put(t, w, "x")
		receive(t, third.C())
		none(t, first.C())
		none(t, second.C())
		require.NoError(t, first.Close())
		drain(r)
		put(t, w, "y")
		receive(t, third.C())
	})
}

// TestChurn makes and ends watches of short-lived pipes in every order, from many
// goroutines. Each pipe that is written to must wake its Watcher, and no other
// must be woken.
func TestChurn(t *testing.T) {
	rounds := 1000
	if !testenv.Long() {
		rounds = 100
	}
	var all sync.WaitGroup
	for seed := range 8 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(seed)))
			for range rounds {
				var loud, quiet [2]int
				if unix.Pipe(loud[:]) != nil || unix.Pipe(quiet[:]) != nil {
					t.Error("no pipe")
					return
				}
				a, err1 := Watch(uintptr(loud[0]))
				b, err2 := Watch(uintptr(quiet[0]))
				if err1 != nil || err2 != nil {
					t.Error(err1, err2)
					return
				}
				_, _ = unix.Write(loud[1], []byte("x"))
				receive(t, a.C())
				steps := []func(){
					func() { a.Close() }, func() { b.Close() },
					func() { unix.Close(loud[0]) }, func() { unix.Close(loud[1]) },
					func() { unix.Close(quiet[0]) },
				}
				rnd.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
				for _, step := range steps {
					step()
				}
				unix.Close(quiet[1])
				select {
				case <-b.C():
					t.Error("a token for a pipe that was never written to")
				default:
				}
			}
		})
	}
	all.Wait()
}

// TestSums: several watched pipes, a reader each, and writers that wait for their
// bytes to be echoed. All must add up, with any number of Ps.
func TestSums(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		t.Run("", func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			const pipes, writers = 4, 3
			each := 3000
			if !testenv.Long() {
				each = 300
			}
			var all sync.WaitGroup
			for range pipes {
				r, w := pipe(t)
				n := mustWatch(t, r)
				for range writers {
					all.Go(func() {
						for range each {
							for {
								if _, err := unix.Write(w, []byte{1}); err == nil {
									break
								}
								runtime.Gosched()
							}
						}
					})
				}
				all.Go(func() {
					ctx := patience(t)
					for sum := drain(r); sum < writers*each; sum += drain(r) {
						if err := n.Wait(ctx); err != nil {
							t.Errorf("%d of %d bytes: %v", sum, writers*each, err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestMoreThanOneHarvest: one write makes more descriptors ready than the system
// reports at a time.
func TestMoreThanOneHarvest(t *testing.T) {
	// One P: so that the goroutine does not begin while the kernel is still
	// telling of the later ones, each of which would wake it anew.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, w := pipe(t)
	var all []*Watcher
	for range 400 { // Linux allows 500 for one file
		fd, err := unix.Dup(r)
		require.NoError(t, err)
		defer unix.Close(fd)
		all = append(all, mustWatch(t, fd))
	}
	settle(t)
	for range 10 {
		put(t, w, "x")
		for _, n := range all {
			receive(t, n.C())
		}
		drain(r)
	}
}

func TestEventsString(t *testing.T) {
	assert.Equal(t, "none", Events(0).String())
	assert.Equal(t, "read|hang-up", (EventRead | EventHangUp).String())
	assert.Equal(t, "write|priority|error", (EventWrite | EventPriority | EventError).String())
}

func BenchmarkWatch(b *testing.B) {
	r, w := pipe(b)
	n := mustWatch(b, r)
	var got, want [1]byte
	b.ReportAllocs()
	for b.Loop() {
		_, _ = unix.Write(w, want[:])
		<-n.C()
		_, _ = unix.Read(r, got[:])
	}
}

// The goroutine that serves all Watchers has nobody's profiler labels.
func TestWatchingHasNoLabels(t *testing.T) {
	r, w := pipe(t)
	var n *Watcher
	labelled(func() { n = mustWatch(t, r) })
	_, err := unix.Write(w, []byte{1})
	require.NoError(t, err)
	receive(t, n.C())
	requireUnlabelled(t, "(*watchSet).run")
}

// labelled runs f with profiler labels.
func labelled(f func()) {
	pprof.Do(context.Background(), pprof.Labels("wakechan-test", "first-caller"), func(context.Context) { f() })
}

// requireUnlabelled fails unless the method runs, in a goroutine without labelled's labels.
func requireUnlabelled(t *testing.T, method string) {
	t.Helper()
	var profile strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
	require.Contains(t, profile.String(), method)
	require.NotContains(t, profile.String(), "first-caller")
}
