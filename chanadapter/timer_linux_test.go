package chanadapter

// This file holds the tests of Timer and Process. Times are asserted in one
// direction only: nothing expires early.

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

func mustTimer(t testing.TB, clock Clock) *Timer {
	t.Helper()
	timer, err := NewTimer(clock)
	require.NoError(t, err)
	t.Cleanup(func() { _ = timer.Close() })
	return timer
}

func expired(t testing.TB, timer *Timer) int {
	t.Helper()
	n, err := timer.Expired()
	require.NoError(t, err)
	return int(n)
}

func TestTimer(t *testing.T) {
	for _, clock := range []Clock{Boottime, Realtime} {
		timer := mustTimer(t, clock)
		settle(t)
		none(t, timer.C())
		const d = 3 * time.Millisecond
		start := time.Now()
		require.NoError(t, timer.After(d))
		receive(t, timer.C())
		if clock == Boottime {
			assert.GreaterOrEqual(t, time.Since(start), d)
		}
		assert.Equal(t, 1, expired(t, timer))
		assert.Zero(t, expired(t, timer))

		require.NoError(t, timer.After(-d))
		require.NoError(t, timer.Wait(patience(t)))
		assert.Equal(t, 1, expired(t, timer))

		require.NoError(t, timer.Every(time.Millisecond))
		for n := 0; n < 5; {
			receive(t, timer.C())
			n += expired(t, timer)
		}
		require.NoError(t, timer.Stop())
		expired(t, timer)
		settle(t)
		select { // of just before
		case <-timer.C():
		default:
		}
		require.NoError(t, timer.After(time.Hour))
		require.NoError(t, timer.Stop())
		settle(t)
		none(t, timer.C())
		assert.ErrorIs(t, timer.Every(0), os.ErrInvalid)
	}
}

// TestTimerGoesOn has a receiver that does not ask how many expirations there were.
func TestTimerGoesOn(t *testing.T) {
	timer := mustTimer(t, Boottime)
	require.NoError(t, timer.Every(time.Millisecond))
	for range 5 {
		receive(t, timer.C())
	}
	assert.GreaterOrEqual(t, expired(t, timer), 5)

	// What was set before is forgotten, also what is not in the kernel any more.
	receive(t, timer.C())
	require.NoError(t, timer.After(time.Hour))
	assert.Zero(t, expired(t, timer))
}

func TestTimerAt(t *testing.T) {
	timer := mustTimer(t, Realtime)
	when := time.Now().Add(5 * time.Millisecond)
	require.NoError(t, timer.At(when))
	receive(t, timer.C())
	assert.False(t, time.Now().Round(0).Before(when.Round(0)), "by the wall clock")
	assert.Equal(t, 1, expired(t, timer))
	for _, past := range []time.Time{{}, time.Unix(0, 0), time.Now().Add(-time.Hour)} {
		require.NoError(t, timer.At(past))
		receive(t, timer.C())
		assert.Equal(t, 1, expired(t, timer))
	}
	assert.ErrorIs(t, mustTimer(t, Boottime).At(when), os.ErrInvalid)
}

// TestTimerTellsOfASetClock sets the wall clock to what it shows.
func TestTimerTellsOfASetClock(t *testing.T) {
	if os.Getenv("WAKECHAN_SET_CLOCK") == "" {
		testenv.Missing(t, "set-clock", "WAKECHAN_SET_CLOCK=1 to allow setting this machine's clock, which needs root")
	}
	timer := mustTimer(t, Realtime)
	require.NoError(t, timer.At(time.Now().Add(time.Hour)))
	settle(t)
	none(t, timer.C())
	now := unix.NsecToTimeval(time.Now().UnixNano())
	require.NoError(t, unix.Settimeofday(&now))
	receive(t, timer.C())
	_, err := timer.Expired()
	assert.Equal(t, ErrClockSet, err)
	assert.Zero(t, expired(t, timer))
}

func TestTimerClosedNilAndZero(t *testing.T) {
	closed := mustTimer(t, Boottime)
	require.NoError(t, closed.After(time.Nanosecond))
	fd := closed.fd
	require.NoError(t, closed.Close())
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	assert.Equal(t, unix.EBADF, err)
	for name, timer := range map[string]*Timer{"closed": closed, "nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			if name != "closed" {
				assert.Panics(t, func() { timer.C() })
			} else {
				select { // it may have expired before Close
				case <-timer.C():
				default:
				}
			}
			assert.Equal(t, ErrClosed, timer.Wait(context.Background()))
			assert.Equal(t, ErrClosed, timer.Err())
			assert.Equal(t, ErrClosed, timer.After(1))
			assert.Equal(t, ErrClosed, timer.Every(1))
			assert.Equal(t, ErrClosed, timer.Stop())
			_, err := timer.Expired()
			assert.Equal(t, ErrClosed, err)
			assert.NoError(t, timer.Close())
			<-timer.Done()
		})
	}
	_, err = NewTimer(12345)
	assert.ErrorIs(t, err, unix.EINVAL)
}

func TestProcess(t *testing.T) {
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	w, err := Process(child.Process.Pid)
	require.NoError(t, err)
	defer w.Close()
	settle(t)
	none(t, w.C())
	require.NoError(t, in.Close())
	receive(t, w.C())

	zombie, err := Process(child.Process.Pid)
	require.NoError(t, err)
	receive(t, zombie.C())
	require.NoError(t, child.Wait())
	settle(t)
	none(t, w.C()) // the reaping is not announced
	none(t, zombie.C())
	fd := zombie.fd
	require.NoError(t, zombie.Close())
	_, err = unix.FcntlInt(fd, unix.F_GETFD, 0)
	assert.Equal(t, unix.EBADF, err, "Close closes the pidfd")
	require.NoError(t, zombie.Close())

	_, err = Process(child.Process.Pid)
	assert.ErrorIs(t, err, unix.ESRCH)
	for _, pid := range []int{0, -1} {
		_, err = Process(pid)
		assert.ErrorIs(t, err, unix.EINVAL)
	}
}
