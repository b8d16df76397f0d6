package ring

// This file holds rings on a poller of one's own.

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/notifier"
)

// The poller that was chosen serves the ring, for foreign producers too; its Close ends
// the ring, whose memory goes with the ring's own Close.
func TestRingOnAPollerOfOnesOwn(t *testing.T) {
	if len(notifier.Backends()) == 0 {
		t.Skip("there is none")
	}
	for _, backend := range notifier.Backends() {
		t.Run(backend, func(t *testing.T) {
			p, err := notifier.NewPoller(notifier.WithBackend(backend))
			require.NoError(t, err)
			defer p.Close()
			r, err := New(1<<12, WithPoller(p))
			require.NoError(t, err)
			defer r.Close()
			require.Zero(t, p.Stats().Handles)
			h, err := r.Handle()
			require.NoError(t, err)
			require.Equal(t, backend, p.Stats().Backend)
			require.Equal(t, 1, p.Stats().Handles)
			inside, err := r.n.Handle()
			require.NoError(t, err)

			for i := range 10 {
				require.NoError(t, r.Push(numbered(8, i)))
				receive(t, r.C())
				require.Equal(t, [][]byte{numbered(8, i)}, recordsOf(r))
				if ringforeign.Available {
					require.GreaterOrEqual(t, ringforeign.PushNow(uint64(h), numbered(9, i)), 0)
					receive(t, r.C())
					require.Equal(t, [][]byte{numbered(9, i)}, recordsOf(r))
				} else {
					require.NoError(t, inside.Notify()) // as such a producer would
					receive(t, r.C())
				}
			}
			// That poller has put them in; it counts afterwards.
			for ctx := patience(t); p.Stats().Delivered != 10; runtime.Gosched() {
				require.NoError(t, context.Cause(ctx))
			}

			require.NoError(t, r.Push([]byte("before")))
			require.NoError(t, p.Close())
			<-r.Done()
			require.Equal(t, ErrClosed, r.Err())
			_, err = r.Handle()
			require.Equal(t, ErrClosed, err)
			require.Equal(t, ErrClosed, r.Push([]byte("after")), "nobody would be woken for it")
			if ringforeign.Available {
				require.Equal(t, ringforeign.Closed, ringforeign.PushNow(uint64(h), []byte("after")))
			}
			require.GreaterOrEqual(t, r.Len(), 16)
			receive(t, r.C())
			require.Equal(t, [][]byte{[]byte("before")}, recordsOf(r), "what is there can be read")
			require.Zero(t, r.Lost())
			require.Equal(t, ErrClosed, r.Wait(patience(t)))
			require.NoError(t, r.Close())
			require.Equal(t, ErrClosed, r.Push(nil))
			require.True(t, r.b.gone())

			r, err = New(1<<12, WithPoller(p))
			require.Equal(t, ErrClosed, err, "a closed poller takes none")
			require.Nil(t, r)
		})
	}
}

// A ring without a handle, and one in the middle of a reservation, hear of it too; one
// that was closed before does not.
func TestRingHearsOfItsPollersEnd(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		p, err := notifier.NewPoller()
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		require.NoError(t, err)
		open, closed := ring(t, 4096, WithPoller(p)), ring(t, 4096, WithPoller(p))
		require.NoError(t, closed.Close())
		rec, err := open.Reserve(8)
		require.NoError(t, err)
		require.NoError(t, p.Close())
		<-open.Done()
		require.Equal(t, ErrClosed, open.Push(nil))
		require.NoError(t, open.Commit(rec), "it was reserved before")
		require.Len(t, recordsOf(open), 1)
		require.NoError(t, open.Close())
		require.Zero(t, open.Lost())
		require.True(t, open.b.gone())
	})
}
