package chanadapter

// This file holds the tests of Group, Change and several Watchers on Windows' handles.

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

func TestGroup(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		g := NewGroup()
		defer g.Close()
		const count = 100
		var handles []windows.Handle
		for i := range count {
			h := event(t, autoReset)
			handles = append(handles, h)
			assert.Equal(t, i, mustWatch(t, h, In(g), WithValue(i)).Value())
		}
		settle(t)
		none(t, g.C())
		for _, odd := range []int{0, 1, 1} {
			want := map[int]bool{}
			for i, h := range handles {
				if i%2 == odd {
					want[i] = true
					set(t, h)
				}
			}
			for len(want) != 0 {
				receive(t, g.C())
				for w, e := range g.Ready() {
					assert.Equal(t, EventRead, e)
					i := w.Value().(int)
					assert.True(t, want[i], "%d was yielded and not signalled, or twice", i)
					delete(want, i)
				}
			}
		}
	})
}

// What nobody takes is one.
func TestGroupCoalesces(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		g := NewGroup()
		defer g.Close()
		h := event(t, autoReset)
		n := mustWatch(t, h, In(g))
		for range 3 {
			set(t, h)
			settle(t)
		}
		receive(t, g.C())
		found := 0
		for w := range g.Ready() {
			assert.True(t, w == n)
			found++
		}
		assert.Equal(t, 1, found)
		none(t, g.C())
	})
}

func TestGroupCloseWhileEventsCome(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		for range 20 {
			g := NewGroup()
			h := event(t, autoReset)
			w := mustWatch(t, h, In(g))
			var all sync.WaitGroup
			all.Go(func() {
				for range 50 {
					_ = windows.SetEvent(h)
				}
			})
			receive(t, g.C())
			require.NoError(t, g.Close())
			all.Wait()
			assert.Equal(t, ErrClosed, w.Err())
			assert.Equal(t, ErrClosed, g.Err())
			for range g.Ready() {
				t.Error("after Close")
			}
			require.Nil(t, sharedSet())
		}
	})
}

func TestSeveralWatchersOfOneHandle(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		h := event(t, autoReset)
		first, second, once := mustWatch(t, h), mustWatch(t, h), mustWatch(t, h, OneShot())
		set(t, h)
		for _, w := range []*Watcher{first, second, once} {
			receive(t, w.C())
		}
		set(t, h)
		receive(t, first.C())
		receive(t, second.C())
		settle(t)
		none(t, once.C())
		require.NoError(t, once.Rearm())
		receive(t, once.C()) // the watch had taken the signal, and nobody was told
		require.NoError(t, first.Close())
		require.NoError(t, once.Rearm())
		settle(t)
		none(t, once.C())
		set(t, h)
		receive(t, second.C())
		receive(t, once.C())
	})
}

func TestChange(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		h := event(t, autoReset)
		n := mustWatch(t, h)
		for _, opt := range []Option{Writable(), Priority(), HangUp()} {
			assert.ErrorIs(t, n.Change(opt), errors.ErrUnsupported)
		}
		assert.ErrorIs(t, n.Change(WithValue(1)), os.ErrInvalid)
		require.NoError(t, n.Err())
		set(t, h)
		receive(t, n.C())
		require.NoError(t, n.Change(OneShot()))
		set(t, h)
		receive(t, n.C())
		set(t, h)
		settle(t)
		none(t, n.C())
		require.NoError(t, n.Change())
		receive(t, n.C())
		set(t, h)
		receive(t, n.C())
	})
}

func TestPollBits(t *testing.T) {
	for e := range EventError << 1 {
		assert.Equal(t, e, FromPoll(e.Poll()))
	}
	assert.EqualValues(t, 0x300, EventRead.Poll())
	assert.Equal(t, EventRead, FromPoll(0x100))
	assert.Equal(t, EventError, FromPoll(0x4))
}
