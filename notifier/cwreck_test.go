package notifier_test

// This file lets C threads be cancelled or terminated in the middle of
// notifier_notify, or jumped out of it, against Go's poller. testdata/c/step.c does that at every
// instruction, against one in C.

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

func TestThreadsWreckedInNotify(t *testing.T) {
	if len(foreign.Wrecks) == 0 {
		testenv.Missing(t, "cgo", "C threads")
	}
	const some = 5
	for _, backend := range notifier.Backends() {
		for name, wreck := range foreign.Wrecks {
			t.Run(backend+"/"+name, func(t *testing.T) {
				p, err := notifier.NewPoller(notifier.WithBackend(backend), notifier.WithLinger(0))
				require.NoError(t, err)
				defer p.Close()

				// The wrecked threads notify the first and two others; the second is
				// nobody's but the test's.
				notifiers := make([]*notifier.Notifier, 4)
				handles := make([]uint64, 4)
				for i := range notifiers {
					n, err := p.New()
					require.NoError(t, err)
					h, err := n.Handle()
					require.NoError(t, err)
					notifiers[i], handles[i] = n, uint64(h)
				}
				done := make(chan uint64, 1)
				go func() {
					var calls uint64
					for range testenv.Repeats(1000 / some) {
						calls += wreck([]uint64{handles[0], handles[2], handles[3]}, some)
					}
					done <- calls
				}()

				sound := foreign.Start()
				defer sound.End()
				for running := true; running; {
					for i, n := range notifiers[:2] {
						require.EqualValues(t, 1, sound.Notify(handles[i], 1).Arrived())
						wake(t, n, "while threads are wrecked")
					}
					select {
					case calls := <-done:
						running = false
						assert.Positive(t, calls)
					default:
					}
				}
				// Everything works as if nothing had happened, theirs too.
				for range 3 {
					for i, n := range notifiers {
						n.Clear()
						require.EqualValues(t, 1, sound.Notify(handles[i], 1).Arrived())
						wake(t, n, "afterwards")
					}
				}
			})
		}
	}
}

func wake(t *testing.T, n *notifier.Notifier, when string) {
	t.Helper()
	select {
	case <-n.C():
	case <-time.After(testenv.Patience()):
		require.Fail(t, "a notification was lost", when)
	}
}
