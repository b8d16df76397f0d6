//go:build linux || darwin || freebsd || dragonfly || netbsd || openbsd

package chanadapter

// This file holds the tests of Group, of Change, and of several Watchers of one
// descriptor, on pipes and sockets.

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

func mustGroup(t testing.TB) *Group {
	t.Helper()
	g := NewGroup()
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// all returns what Ready yields.
func all(g *Group) (watchers []*Watcher, events []Events) {
	for w, e := range g.Ready() {
		watchers, events = append(watchers, w), append(events, e)
	}
	return watchers, events
}

func TestGroup(t *testing.T) {
	g := mustGroup(t)
	var ends []int
	var watchers []*Watcher
	for i := range 5 {
		r, w := pipe(t)
		n := mustWatch(t, r, In(g), WithValue(i))
		assert.Equal(t, i, n.Value())
		assert.Equal(t, g.C(), n.C())
		ends, watchers = append(ends, w), append(watchers, n)
	}
	settle(t)
	none(t, g.C())
	for _, i := range []int{3, 1, 4, 1, 3} {
		put(t, ends[i], "x")
		settle(t)
	}
	receive(t, g.C())
	none(t, g.C())
	found, events := all(g)
	assert.Equal(t, []*Watcher{watchers[3], watchers[1], watchers[4]}, found, "each once, in the order found")
	for _, e := range events {
		assert.True(t, e.Has(EventRead))
	}
	found, _ = all(g)
	assert.Empty(t, found)
	none(t, g.C())

	// Ready needs no token, and takes the one that is for what it yields.
	put(t, ends[0], "x")
	settle(t)
	found, _ = all(g)
	assert.Equal(t, watchers[:1], found)
	none(t, g.C())
	assert.Equal(t, "Group(5 watched, 0 ready)", g.String())
}

func TestGroupKeepsTheRestAfterABreak(t *testing.T) {
	g := mustGroup(t)
	var watchers []*Watcher
	for range 3 {
		r, w := pipe(t)
		put(t, w, "x")
		watchers = append(watchers, mustWatch(t, r, In(g)))
		settle(t)
	}
	receive(t, g.C())
	for w := range g.Ready() {
		assert.True(t, watchers[0] == w)
		break
	}
	receive(t, g.C())
	assert.Panics(t, func() {
		for w := range g.Ready() {
			assert.True(t, watchers[1] == w)
			panic("in the loop")
		}
	})
	receive(t, g.C())
	for w := range g.Ready() {
		assert.True(t, watchers[2] == w)
		break // the last: there is no rest
	}
	none(t, g.C())
}

// TestGroupIsFair: one that is ready again as soon as it was yielded does not keep
// the others from their turn, and no loop goes on for ever.
func TestGroupIsFair(t *testing.T) {
	g := mustGroup(t)
	r, w := pipe(t)
	put(t, w, "never read")
	busy := mustWatch(t, r, In(g), OneShot())
	const others = 10
	var watchers []*Watcher
	for range others {
		r, w := pipe(t)
		put(t, w, "x")
		watchers = append(watchers, mustWatch(t, r, In(g)))
	}
	turns := map[*Watcher]int{}
	for turns[busy] < 100 {
		receive(t, g.C())
		yielded := 0
		for w := range g.Ready() {
			yielded++
			turns[w]++
			if w == busy {
				require.NoError(t, busy.Rearm())
				settle(t) // so that it waits again before the loop goes on
			}
		}
		require.LessOrEqual(t, yielded, others+1)
	}
	for _, w := range watchers {
		assert.Equal(t, 1, turns[w])
	}
}

func TestGroupClose(t *testing.T) {
	g := mustGroup(t)
	r, w := pipe(t)
	n := mustWatch(t, r, In(g))
	other, _ := pipe(t)
	closed := mustWatch(t, other, In(g))
	waits := make(chan error, 4)
	for range cap(waits) / 2 {
		go func() { waits <- g.Wait(context.Background()) }()
		go func() { waits <- n.Wait(context.Background()) }()
	}
	done := closed.Done()
	require.NoError(t, closed.Close())
	<-done
	assert.Equal(t, ErrClosed, closed.Err())
	assert.Equal(t, ErrClosed, closed.Rearm())
	assert.Equal(t, ErrClosed, closed.Change())
	assert.NoError(t, n.Err())

	done = n.Done()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { assert.NoError(t, g.Close()) })
	}
	all.Wait()
	for range cap(waits) {
		assert.Equal(t, ErrClosed, <-waits)
	}
	<-done
	<-g.Done()
	assert.Equal(t, ErrClosed, g.Err())
	assert.Equal(t, ErrClosed, n.Err())
	assert.Equal(t, ErrClosed, n.Rearm())
	assert.NoError(t, n.Close())
	put(t, w, "late")
	settle(t)
	none(t, g.C())
	for range g.Ready() {
		t.Error("after Close")
	}
	_, err := Watch(uintptr(r), In(g))
	assert.ErrorIs(t, err, ErrClosed)
	assert.Equal(t, "Group(closed)", g.String())
}

func TestGroupNilAndZero(t *testing.T) {
	r, _ := pipe(t)
	for name, g := range map[string]*Group{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { g.C() })
			assert.Equal(t, ErrClosed, g.Wait(context.Background()))
			assert.Equal(t, ErrClosed, g.Err())
			assert.NoError(t, g.Close())
			<-g.Done()
			for range g.Ready() {
				t.Error("it has nothing")
			}
			assert.Equal(t, "Group(closed)", g.String())
			_, err := Watch(uintptr(r), In(g))
			assert.ErrorIs(t, err, ErrClosed)
		})
	}
	require.Nil(t, sharedSet())
}

func TestGroupOfABubbleHasNoWatchers(t *testing.T) {
	r, _ := pipe(t)
	var g *Group
	synctest.Test(t, func(t *testing.T) { g = NewGroup() })
	_, err := Watch(uintptr(r), In(g))
	assert.ErrorContains(t, err, "synctest")
}

// TestGroupToldOfAFault: a Watcher whose owner closed first is yielded once more.
func TestGroupToldOfAFault(t *testing.T) {
	g := mustGroup(t)
	r, _ := pipe(t)
	n := mustWatch(t, r, In(g))
	other, w := pipe(t)
	require.NoError(t, dup2(other, r))
	assert.ErrorIs(t, n.Change(Readable()), unix.EBADF)
	receive(t, g.C())
	found, events := all(g)
	assert.Equal(t, []*Watcher{n}, found)
	assert.Equal(t, []Events{EventError}, events)
	assert.ErrorIs(t, n.Err(), unix.EBADF)
	<-n.Done()
	again := mustWatch(t, r, In(g))
	put(t, w, "x")
	receive(t, g.C())
	found, _ = all(g)
	assert.Equal(t, []*Watcher{again}, found)

	// One that nobody was told of when the group is closed.
	require.NoError(t, dup2(r, other))
	third, _ := pipe(t)
	require.NoError(t, dup2(third, r))
	assert.ErrorIs(t, again.Rearm(), unix.EBADF)
	require.NoError(t, g.Close())
	for range g.Ready() {
		t.Error("after Close")
	}
}

// TestGroupChurn closes Watchers, in the loop and by other goroutines, and at last
// the group, while events come. None is lost: each pipe is written to again only when
// it was read.
func TestGroupChurn(t *testing.T) {
	for range testenv.Repeats(50) {
		g := NewGroup()
		const pipes = 16
		each := 20
		var left atomic.Int32
		left.Store(pipes)
		type source struct{ r, w, sent int }
		start := func(s *source) {
			if _, err := Watch(uintptr(s.r), In(g), WithValue(s)); err != nil {
				t.Error(err)
			}
		}
		var all sync.WaitGroup
		var sources []*source
		for range pipes {
			r, w := pipe(t)
			s := &source{r: r, w: w}
			sources = append(sources, s)
			put(t, w, "x")
			start(s)
		}
		// Watchers that come and go and are nobody's.
		var stop atomic.Bool
		for seed := range 2 {
			all.Go(func() {
				rnd := rand.New(rand.NewPCG(2, uint64(seed)))
				var p [2]int
				if unix.Pipe(p[:]) != nil {
					t.Error("no pipe")
					return
				}
				defer unix.Close(p[0])
				defer unix.Close(p[1])
				for !stop.Load() {
					w, err := Watch(uintptr(p[0]), In(g))
					if err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
					var b [1]byte
					_, _ = unix.Write(p[1], b[:])
					if rnd.IntN(2) == 0 {
						runtime.Gosched()
					}
					_, _ = unix.Read(p[0], b[:])
					_ = w.Close()
				}
			})
		}
		for range 2 {
			all.Go(func() {
				ctx := patience(t)
				for g.Wait(ctx) == nil {
					for w := range g.Ready() {
						s, ok := w.Value().(*source)
						if !ok || drain(s.r) == 0 {
							continue
						}
						s.sent++
						if s.sent == each {
							_ = w.Close()
							if left.Add(-1) == 0 {
								stop.Store(true)
								_ = g.Close()
							}
							continue
						}
						if s.sent%7 == 0 { // a new Watcher of the same number
							_ = w.Close()
							start(s)
						}
						_, _ = unix.Write(s.w, []byte("x"))
					}
				}
				if context.Cause(ctx) != nil {
					t.Errorf("%d pipes were not read to the end", left.Load())
					stop.Store(true)
				}
			})
		}
		all.Wait()
		_ = g.Close()
		for _, s := range sources {
			closeEarly(t, s.r)
			closeEarly(t, s.w)
		}
	}
}

func TestChange(t *testing.T) {
	a, b := socketpair(t)
	n := mustWatch(t, a)
	settle(t)
	none(t, n.C())
	require.NoError(t, n.Change(Writable()))
	receive(t, n.C())
	assert.Equal(t, EventWrite, n.Ready())
	put(t, b, "not asked for")
	settle(t)
	select { // epoll tells of the room that there is at any edge
	case <-n.C():
		assert.Equal(t, EventWrite, n.Ready())
	default:
	}
	require.NoError(t, n.Change(Readable(), OneShot()))
	receive(t, n.C()) // it looks anew
	assert.Equal(t, EventRead, n.Ready())
	put(t, b, "more")
	settle(t)
	none(t, n.C())
	require.NoError(t, n.Change(OneShot())) // Readable, as for Watch
	receive(t, n.C())
	require.NoError(t, n.Change()) // and not one-shot any more
	receive(t, n.C())
	put(t, b, "more")
	receive(t, n.C())
	require.NoError(t, n.Change(Interest(EventRead|EventWrite)))
	for seen := Events(0); seen != EventRead|EventWrite; seen |= n.Ready() {
		receive(t, n.C())
	}

	require.NoError(t, n.Change(HangUp()))
	select {
	case <-n.C():
	default:
	}
	n.Ready()
	put(t, b, "more")
	settle(t)
	none(t, n.C())
	closeEarly(t, b)
	receive(t, n.C())
	assert.NotZero(t, n.Ready()&EventHangUp)

	for _, opt := range []Option{In(nil), In(NewGroup()), WithValue(1)} {
		assert.ErrorIs(t, n.Change(opt), os.ErrInvalid)
	}
	assert.NoError(t, n.Err())
	require.NoError(t, n.Close())
	assert.Equal(t, ErrClosed, n.Change())
	assert.Equal(t, ErrClosed, (*Watcher)(nil).Change())
	assert.Equal(t, ErrClosed, new(Watcher).Change())
}

// TestHangUpComesWithEach interest, and once with those that do not read.
func TestHangUpComesWithEach(t *testing.T) {
	for name, opts := range map[string][]Option{
		"Readable":          {Readable()},
		"Writable":          {Writable()},
		"HangUp":            {HangUp()},
		"Writable, OneShot": {Writable(), OneShot()},
		"HangUp, OneShot":   {HangUp(), OneShot()},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := socketpair(t)
			n := mustWatch(t, a, opts...)
			settle(t)
			select { // it is writable
			case <-n.C():
				require.Equal(t, EventWrite, n.Ready())
			default:
			}
			require.NoError(t, n.Rearm())
			settle(t)
			require.NoError(t, unix.Shutdown(b, unix.SHUT_WR))
			for seen := Events(0); !seen.Has(EventHangUp); seen |= n.Ready() {
				if seen != 0 {
					require.NoError(t, n.Rearm())
				}
				receive(t, n.C())
			}
		})
	}
	t.Run("a half-closed connection that is full", func(t *testing.T) {
		a, b := socketpair(t)
		chunk := make([]byte, 1<<16)
		for err := error(nil); err == nil; {
			_, err = unix.Write(a, chunk)
		}
		require.NoError(t, unix.Shutdown(b, unix.SHUT_WR))
		n := mustWatch(t, a, Writable(), OneShot())
		receive(t, n.C())
		assert.Equal(t, EventHangUp, n.Ready())
		for range 3 { // or who waits for room would spin
			require.NoError(t, n.Rearm())
			settle(t)
			none(t, n.C())
		}
		drain(b)
		receive(t, n.C())
		assert.True(t, n.Ready().Has(EventWrite))
	})
}

func TestSeveralWatchersOfOneDescriptor(t *testing.T) {
	a, b := socketpair(t)
	reads := mustWatch(t, a, Readable())
	writes := mustWatch(t, a, Writable())
	settle(t)
	receive(t, writes.C())
	assert.Equal(t, EventWrite, writes.Ready())
	none(t, reads.C())
	put(t, b, "x")
	receive(t, reads.C())
	assert.Equal(t, EventRead, reads.Ready())

	// A one-shot one stays silent until Rearm, and the others do not.
	once := mustWatch(t, a, OneShot())
	receive(t, once.C())
	settle(t)
	for _, n := range []*Watcher{reads, writes} {
		select { // they were looked at anew
		case <-n.C():
			n.Ready()
		default:
		}
	}
	put(t, b, "x")
	receive(t, reads.C())
	settle(t)
	none(t, once.C())
	require.NoError(t, once.Rearm())
	receive(t, once.C())
	assert.Equal(t, EventRead, once.Ready())

	// Those that are left hear on when the others are closed, in whatever order.
	require.NoError(t, reads.Close())
	put(t, b, "x")
	settle(t)
	require.NoError(t, once.Rearm())
	receive(t, once.C())
	require.NoError(t, writes.Close())
	drain(a)
	require.NoError(t, once.Rearm())
	settle(t)
	none(t, once.C())
	put(t, b, "x")
	receive(t, once.C())
	more := mustWatch(t, a, Writable())
	require.NoError(t, once.Close())
	require.NoError(t, more.Rearm())
	receive(t, more.C())
	assert.NotZero(t, more.Ready()&EventWrite)
	require.NoError(t, more.Close())
	require.Nil(t, sharedSet())
}

// TestOneShotWatchersOfOneDescriptor: two directions, each armed on its own. What one
// got must not disarm the other.
func TestOneShotWatchersOfOneDescriptor(t *testing.T) {
	a, b := socketpair(t)
	chunk := make([]byte, 1<<16)
	for err := error(nil); err == nil; {
		_, err = unix.Write(a, chunk)
	}
	reads := mustWatch(t, a, Readable(), OneShot())
	writes := mustWatch(t, a, Writable(), OneShot())
	for range 20 {
		settle(t)
		none(t, reads.C())
		none(t, writes.C())
		put(t, b, "x")
		receive(t, reads.C())
		drain(a)
		drain(b)
		receive(t, writes.C())
		for err := error(nil); err == nil; {
			_, err = unix.Write(a, chunk)
		}
		settle(t) // what was found before is not for the next token
		require.NoError(t, reads.Rearm())
		require.NoError(t, writes.Rearm())
	}
}

// TestAllAreToldThatTheNumberIsAnothers: each Watcher of a descriptor.
func TestAllAreToldThatTheNumberIsAnothers(t *testing.T) {
	g := mustGroup(t)
	r, _ := pipe(t)
	first, second := mustWatch(t, r), mustWatch(t, r, In(g))
	other, w := pipe(t)
	require.NoError(t, dup2(other, r))
	n := mustWatch(t, r)
	for _, old := range []*Watcher{first, second} {
		<-old.Done()
		assert.ErrorIs(t, old.Change(Readable()), unix.EBADF)
		require.NoError(t, old.Close())
	}
	put(t, w, "x")
	receive(t, n.C())
}

// TestWaitReturnsTheCause, whatever it is: the error does not tell who has ended.
func TestWaitReturnsTheCause(t *testing.T) {
	r, _ := pipe(t)
	g := mustGroup(t)
	for name, wait := range map[string]func(context.Context) error{
		"Watcher":            mustWatch(t, r).Wait,
		"Watcher in a Group": mustWatch(t, r, In(g)).Wait,
		"Group":              g.Wait,
	} {
		for _, cause := range []error{ErrClosed, notifier.ErrClosed, os.ErrClosed, context.Canceled, uncomparable{}} {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(cause)
			err := wait(ctx)
			require.Error(t, err, name)
			assert.Equal(t, cause, err, name)
		}
	}
}

type uncomparable struct{ _ []int }

func (uncomparable) Error() string { return "cannot be compared" }

func TestPollBits(t *testing.T) {
	assert.EqualValues(t, unix.POLLIN|unix.POLLHUP, (EventRead | EventHangUp).Poll())
	assert.EqualValues(t, unix.POLLOUT|unix.POLLPRI|unix.POLLERR, (EventWrite | EventPriority | EventError).Poll())
	for e := range EventError << 1 {
		assert.Equal(t, e, FromPoll(e.Poll()))
	}
	assert.Equal(t, EventError, FromPoll(unix.POLLNVAL))
	assert.Zero(t, FromPoll(0x40|0x80)) // POLLRDNORM and the like say nothing more
	assert.True(t, (EventRead | EventHangUp).Has(EventHangUp))
	assert.False(t, (EventRead | EventHangUp).Has(EventHangUp|EventError))
	assert.Equal(t, Interest(0), HangUp())
	assert.Equal(t, Interest(EventHangUp|EventError), HangUp())
}

func TestWatcherString(t *testing.T) {
	r, _ := pipe(t)
	n := mustWatch(t, r, Interest(EventRead|EventWrite), OneShot())
	assert.Regexp(t, `^Watcher\(descriptor \d+: read\|write, one-shot\)$`, n.String())
	require.NoError(t, n.Close())
	assert.Regexp(t, `^Watcher\(descriptor \d+: read\|write, one-shot, closed\)$`, n.String())
	assert.Equal(t, "Watcher(closed)", (*Watcher)(nil).String())
	assert.Equal(t, "Watcher(closed)", new(Watcher).String())
}

// TestAWatcherInAGroupTakesNoMore memory than one with a channel.
func TestAWatcherInAGroupTakesNoMore(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates too")
	}
	r, _ := pipe(t)
	stays := mustWatch(t, r)
	g := mustGroup(t)
	made := make([]*Watcher, 500)
	allocated := func(opts ...Option) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range made {
			made[i] = mustHave(Watch(uintptr(r), opts...))
			_ = made[i].Close()
		}
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / uint64(len(made))
	}
	allocated()
	alone, inGroup := allocated(), allocated(In(g))
	t.Logf("%d bytes with a channel, %d in a group", alone, inGroup)
	assert.LessOrEqual(t, inGroup, alone)
	require.NoError(t, stays.Err())
}

func mustHave[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestChangeAllocatesNothing(t *testing.T) {
	if testenv.Race || runtime.GOOS != "linux" {
		t.Skip("the race detector allocates too, and so does kevent")
	}
	r, _ := pipe(t)
	n := mustWatch(t, r)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = n.Change(Readable(), OneShot())
		_ = n.Change(Interest(EventRead | EventPriority))
		_ = n.Rearm()
	}))
	require.NoError(t, n.Err())
}
