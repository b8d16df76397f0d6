package chanadapter

// This file holds the tests of what only Linux does: a large group has an epoll set of
// its own, from which its receiver collects.

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// ownSetFrom makes groups of so many Watchers large.
func ownSetFrom(t testing.TB, count int) {
	usual := largeGroup
	largeGroup = count
	t.Cleanup(func() { largeGroup = usual })
}

// settleGroups is settle for the groups that have a set of their own: each has a token
// for what is in it.
func settleGroups(t testing.TB) {
	t.Helper()
	process.mu.Lock()
	var own []*watchSet
	for k, s := range process.sets {
		if k.group != nil {
			own = append(own, s)
		}
	}
	process.mu.Unlock()
	for _, s := range own {
		for ctx := patience(t); readable(uintptr(filesOf(s).fd)) && !s.kind.group.expects(); runtime.Gosched() {
			require.NoError(t, context.Cause(ctx))
		}
	}
}

func (g *Group) expects() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.expected
}

// TestGroupsWithASetOfTheirOwn keep all that groups promise.
func TestGroupsWithASetOfTheirOwn(t *testing.T) {
	ownSetFrom(t, 0)
	for name, test := range map[string]func(*testing.T){
		"Group":            TestGroup,
		"Break":            TestGroupKeepsTheRestAfterABreak,
		"Fair":             TestGroupIsFair,
		"Close":            TestGroupClose,
		"Fault":            TestGroupToldOfAFault,
		"Churn":            TestGroupChurn,
		"Another's number": TestAllAreToldThatTheNumberIsAnothers,
	} {
		t.Run(name, test)
	}
}

// largeGroupOf makes a group with a set of its own, and returns its Watchers by the ends that
// are written to.
func largeGroupOf(t *testing.T, count int, opts ...Option) (g *Group, watchers []*Watcher, ends []int) {
	t.Helper()
	ownSetFrom(t, 0)
	g = mustGroup(t)
	for range count {
		r, w := pipe(t)
		watchers, ends = append(watchers, mustWatch(t, r, append(opts, In(g))...)), append(ends, w)
	}
	require.NotNil(t, g.ownSet())
	return g, watchers, ends
}

// TestALargeGroupIsAnnouncedOnce: from the token until Ready nothing that becomes ready
// or is rearmed wakes the goroutine. What comes in the loop has a token, in the loop.
func TestALargeGroupIsAnnouncedOnce(t *testing.T) {
	g, watchers, ends := largeGroupOf(t, 200, OneShot())
	gate := uintptr(filesOf(g.ownSet()).gate)
	for range 3 {
		put(t, ends[0], "x")
		settle(t)
		require.True(t, g.expects())
		for i, end := range ends[1:] {
			put(t, end, "x")
			require.NoError(t, watchers[i+1].Rearm())
			require.False(t, readable(gate), "it wakes for the next")
		}
		receive(t, g.C())
		settle(t)
		none(t, g.C())
		found := 0
		for w, e := range g.Ready() {
			assert.True(t, watchers[found] == w, "in the order found")
			assert.Equal(t, EventRead, e)
			require.NoError(t, w.Rearm(), "it is ready still")
			if found == 0 {
				receive(t, g.C())
			}
			require.False(t, readable(gate), "it wakes for the next")
			found++
		}
		require.Equal(t, len(watchers), found)
		none(t, g.C())
		// And all once more, for which there was a token.
		for w := range g.Ready() {
			drain(int(w.reg.fd))
			require.NoError(t, w.Rearm())
			found--
		}
		require.Zero(t, found)
		settle(t)
		none(t, g.C())
	}
}

// TestATokenForWhatComesWhileOneCollects: the receiver has opened the gate, and drops
// the token.
func TestATokenForWhatComesWhileOneCollects(t *testing.T) {
	ownSetFrom(t, 0)
	g := mustGroup(t)
	r, w := pipe(t)
	// The goroutine's part, at that time.
	n, err := watch(uintptr(r), nil, g.expect, []Option{In(g)})
	require.NoError(t, err)
	put(t, w, "x")
	receive(t, g.C())
	found, _ := all(g)
	assert.Equal(t, []*Watcher{n}, found)
	receive(t, g.C())
	found, _ = all(g)
	assert.Empty(t, found)
	none(t, g.C())
}

// TestASlowGroupHoldsUpNobody: neither while its token waits, nor while its receiver is
// in the loop.
func TestASlowGroupHoldsUpNobody(t *testing.T) {
	slow, _, slowEnds := largeGroupOf(t, 3)
	other, watchers, ends := largeGroupOf(t, 3)
	r, w := pipe(t)
	single := mustWatch(t, r)
	othersGo := func() {
		for range 3 {
			put(t, w, "x")
			receive(t, single.C())
			put(t, ends[1], "x")
			receive(t, other.C())
			found, _ := all(other)
			assert.Equal(t, watchers[1:2], found)
		}
	}
	put(t, slowEnds[0], "x")
	settle(t)
	othersGo()
	receive(t, slow.C())
	othersGo()
	for range slow.Ready() {
		othersGo()
		// Another receiver of the same group gets what comes now.
		put(t, slowEnds[1], "x")
		receive(t, slow.C())
		found, _ := all(slow)
		assert.Len(t, found, 1)
	}
}

// TestTheOwnSetStaysWithItsGroup: Watchers that come and go do not make it anew. It ends
// with the last of all Watchers of the group, those in the set of all too.
func TestTheOwnSetStaysWithItsGroup(t *testing.T) {
	ownSetFrom(t, 2)
	before := len(ourGoroutinesBut())
	g := mustGroup(t)
	var few []*Watcher
	for range 2 {
		r, _ := pipe(t)
		few = append(few, mustWatch(t, r, In(g)))
	}
	require.Nil(t, g.ownSet())
	r, w := pipe(t)
	var own *watchSet
	for range 3 {
		n := mustWatch(t, r, In(g))
		if own == nil {
			own = g.ownSet()
		}
		require.NotNil(t, own)
		require.True(t, n.reg.set == own)
		put(t, w, "x")
		receive(t, g.C())
		found, _ := all(g)
		assert.Equal(t, []*Watcher{n}, found)
		drain(r)
		require.NoError(t, n.Close())
	}
	require.False(t, own.over.Load())
	for _, n := range few {
		require.NoError(t, n.Close())
	}
	<-own.exited
	g.expect() // late
	found, _ := all(g)
	require.Empty(t, found)
	require.NoError(t, own.broken, "it was looked at after its end")
	require.Nil(t, sharedSet())
	goroutinesEnd(t, before)
	// And the next is a new one.
	for range 3 {
		r, w = pipe(t)
		mustWatch(t, r, In(g))
	}
	require.False(t, own == g.ownSet())
	put(t, w, "x")
	receive(t, g.C())
}

// TestCollectedWhileItIsReplaced: the receiver takes out of a set that is renewed, or
// freed, at that time. Nothing is lost.
func TestCollectedWhileItIsReplaced(t *testing.T) {
	ownSetFrom(t, 0)
	for range testenv.Repeats(20) {
		g := NewGroup()
		r, w := pipe(t)
		n := mustWatch(t, r, In(g))
		own := g.ownSet()
		got := make(chan struct{}, 1)
		var receivers sync.WaitGroup
		for range 2 {
			receivers.Go(func() {
				for g.Wait(context.Background()) == nil {
					for range g.Ready() {
						if drain(r) != 0 {
							got <- struct{}{}
						}
					}
				}
			})
		}
		for range 10 {
			own.mu.Lock()
			own.strays, own.orphans = suspicious, true
			own.mu.Unlock()
			put(t, w, "x")
			receive(t, got)
		}
		put(t, w, "x")
		_ = own.retire(errBroken)
		receive(t, n.Done())
		require.NoError(t, n.Close())
		require.NoError(t, g.Close())
		receivers.Wait()
		closeEarly(t, r)
		closeEarly(t, w)
	}
}

// TestTheOwnSetEndsWithItsGroup, also where Watchers broke that nobody closed, in it or in
// the set of all.
func TestTheOwnSetEndsWithItsGroup(t *testing.T) {
	for name, few := range map[string]int{"in it": 0, "in the set of all": 1} {
		t.Run(name, func(t *testing.T) {
			ownSetFrom(t, few)
			g := NewGroup()
			r, _ := pipe(t)
			n, err := Watch(uintptr(r), In(g))
			require.NoError(t, err)
			if few != 0 {
				other, _ := pipe(t)
				m, err := Watch(uintptr(other), In(g))
				require.NoError(t, err)
				require.NoError(t, m.Close())
			}
			own := g.ownSet()
			require.NotNil(t, own)
			strangers, _ := pipe(t)
			require.NoError(t, dup2(strangers, r))
			require.ErrorIs(t, n.Rearm(), unix.EBADF)
			found, _ := all(g)
			require.Equal(t, []*Watcher{n}, found)
			require.NoError(t, g.Close())
			select {
			case <-own.exited:
			default:
				require.Fail(t, "it stays", "%v", filesOf(own))
			}
			require.Nil(t, sharedSet())
		})
	}
}

// TestCollectAllocatesNothing that a group without a set of its own does not.
func TestCollectAllocatesNothing(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates too")
	}
	round := func(g *Group, end int) float64 {
		return testing.AllocsPerRun(100, func() {
			put(t, end, "x")
			<-g.C()
			for w := range g.Ready() {
				drain(int(w.reg.fd))
				_ = w.Rearm()
			}
		})
	}
	few := mustGroup(t)
	r, w := pipe(t)
	mustWatch(t, r, In(few), OneShot())
	usual := round(few, w)
	many, _, ends := largeGroupOf(t, 1, OneShot())
	assert.LessOrEqual(t, round(many, ends[0]), usual)
}
