package chanadapter

// This file holds the tests of Timer and Process. Times are asserted in one
// direction only: nothing expires early.

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
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
	"github.com/wakechan/wakechan/notifier"
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

// TestTimerThatNobodyReceives expires a million times a second, and nothing runs for
// it: the kernel starts no period before the token was taken. The count is that of the
// clock all the same.
func TestTimerThatNobodyReceives(t *testing.T) {
	timer := mustTimer(t, Boottime)
	const period = time.Microsecond
	before := time.Now()
	require.NoError(t, timer.Every(period))
	after := time.Now()
	total := uint64(0)
	for range 20 {
		ticksStandStill(t, timer)
		at := time.Now()
		n, err := timer.Expired()
		require.NoError(t, err)
		total += n
		assert.GreaterOrEqual(t, total, uint64(at.Sub(after)/period), "the clock has shown more")
		assert.LessOrEqual(t, total, uint64(time.Since(before)/period), "the clock has not shown so many")
		// Expired began the next period.
		ticksStandStill(t, timer)
		receive(t, timer.C())
		require.NoError(t, timer.Wait(patience(t)), "what expired meanwhile has a token")
	}
	require.NoError(t, timer.Stop())
	settle(t)
	timer.Expired()
}

// ticksStandStill waits until the kernel has counted an expiry that is not read, after
// which it does nothing, and a goroutine waits to put in its token.
func ticksStandStill(t testing.TB, timer *Timer) {
	t.Helper()
	for ctx := patience(t); ; runtime.Gosched() {
		timer.mu.Lock()
		delayed := timer.delayed
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", timer.fd))
		timer.mu.Unlock()
		require.NoError(t, err)
		if delayed != nil && strings.Contains(string(info), "\nticks: 1\n") {
			require.Contains(t, string(info), "it_value: (0, 0)", "the kernel's timer runs")
			return
		}
		require.NoError(t, context.Cause(ctx))
	}
}

// What was waiting for the token before to be taken does not come after the timer was
// set anew, stopped or closed.
func TestTimerDropsWhatHadNoRoom(t *testing.T) {
	timer := mustTimer(t, Boottime)
	for name, end := range map[string]func() error{
		"set":     func() error { return timer.After(time.Hour) },
		"stopped": timer.Stop,
	} {
		require.NoError(t, timer.Every(time.Microsecond))
		ticksStandStill(t, timer)
		require.NoError(t, end())
		assert.Zero(t, expired(t, timer), name)
		receive(t, timer.C()) // the one that was there
		settle(t)
		none(t, timer.C())
	}
	require.NoError(t, timer.Every(time.Microsecond))
	ticksStandStill(t, timer)
	require.NoError(t, timer.Close())
	receive(t, timer.C())
	none(t, timer.C())
	assert.Equal(t, ErrClosed, timer.Wait(context.Background()))
}

// TestTimerManyReceivers: each token wakes one, and nothing stands still.
func TestTimerManyReceivers(t *testing.T) {
	timer := mustTimer(t, Boottime)
	require.NoError(t, timer.Every(10*time.Microsecond))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				assert.NoError(t, timer.Wait(patience(t)))
			}
		})
	}
	all.Wait()
	assert.GreaterOrEqual(t, expired(t, timer), 400, "two tokens may be of one expiry")
}

// A context may end for the reason that something else was closed.
func TestTimerWaitTellsWhoEnded(t *testing.T) {
	timer := mustTimer(t, Boottime)
	for _, why := range []error{os.ErrClosed, ErrClosed, notifier.ErrClosed, context.Canceled} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(why)
		require.Equal(t, why, timer.Wait(ctx))
	}
	require.NoError(t, timer.After(1))
	ctx, cancel := context.WithCancelCause(context.Background())
	settle(t)
	for len(timer.C()) == 0 {
		runtime.Gosched()
	}
	cancel(ErrClosed)
	require.NoError(t, timer.Wait(ctx), "a token that is there is taken")
	require.Equal(t, ErrClosed, timer.Wait(ctx))
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

func TestTimerClosed(t *testing.T) {
	closed, open := mustTimer(t, Boottime), mustTimer(t, Boottime)
	require.NoError(t, closed.After(time.Nanosecond))
	fd := closed.fd
	require.NoError(t, closed.Close())
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	assert.Equal(t, unix.EBADF, err)
	select { // it may have expired before Close
	case <-closed.C():
	default:
	}
	assert.Equal(t, ErrClosed, closed.Wait(context.Background()))
	assert.Equal(t, ErrClosed, closed.Err())
	assert.Equal(t, ErrClosed, closed.After(1))
	assert.Equal(t, ErrClosed, closed.Every(1))
	assert.Equal(t, ErrClosed, closed.Stop())
	_, err = closed.Expired()
	assert.Equal(t, ErrClosed, err)
	assert.NoError(t, closed.Close())
	<-closed.Done()
	for _, clock := range []Clock{12345, -1, Clock(uint64(1) << 32 & uint64(^uint(0)))} {
		if clock != 0 { // of 32 bits
			_, err = NewTimer(clock)
			assert.ErrorIs(t, err, unix.EINVAL)
		}
	}
	assert.Equal(t, "Timer(closed)", closed.String())
	assert.Equal(t, fmt.Sprintf("Timer(%d)", open.fd), open.String())
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
	fd := zombie.reg.fd
	require.NoError(t, zombie.Close())
	_, err = unix.FcntlInt(fd, unix.F_GETFD, 0)
	assert.Equal(t, unix.EBADF, err, "Close closes the pidfd")
	require.NoError(t, zombie.Close())

	_, err = Process(child.Process.Pid)
	assert.ErrorIs(t, err, unix.ESRCH)
}

// TestProcessNumbers: those that the kernel would cut to another process's, and those of
// threads.
func TestProcessNumbers(t *testing.T) {
	for _, pid := range []int{0, -1, math.MinInt} {
		_, err := Process(pid)
		assert.ErrorIs(t, err, unix.EINVAL)
		assert.ErrorContains(t, err, fmt.Sprintf("no process has the number %d", pid))
	}
	none := []int{math.MaxInt32}
	if strconv.IntSize == 64 {
		more := int64(1 << 32) // as a constant it would not compile on 32 bits
		none = append(none, int(more)+os.Getpid(), int(more)+1, int(more>>1)+5, math.MaxInt)
	}
	for _, pid := range none {
		_, err := Process(pid)
		assert.ErrorIs(t, err, unix.ESRCH)
		assert.ErrorContains(t, err, fmt.Sprintf("no process %d", pid))
	}
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	threads := 0
	for _, task := range tasks {
		if tid, _ := strconv.Atoi(task.Name()); tid != os.Getpid() {
			_, err := Process(tid)
			if err != nil && !errors.Is(err, unix.ESRCH) { // it may have ended
				threads++
				assert.ErrorContains(t, err, "a thread of")
			}
		}
	}
	assert.NotZero(t, threads)
}
