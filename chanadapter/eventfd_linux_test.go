package chanadapter

// This file holds the tests of EventFD. Producers write to the descriptor with
// plain system calls, as the kernel and other processes do.

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

func mustEventFD(t testing.TB, opts ...EventFDOption) *EventFD {
	t.Helper()
	e, err := NewEventFD(opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func add(t testing.TB, e *EventFD, n uint64) {
	t.Helper()
	_, err := unix.Write(int(e.FD()), binary.NativeEndian.AppendUint64(nil, n))
	require.NoError(t, err)
}

// canceled is a context that has ended: Wait takes what is there, or returns.
var canceled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

func TestEventFDWait(t *testing.T) {
	e := mustEventFD(t)
	assert.Equal(t, context.Canceled, e.Wait(canceled))
	add(t, e, 5)
	add(t, e, 2)
	require.NoError(t, e.Wait(canceled))
	assert.Equal(t, context.Canceled, e.Wait(canceled), "one Wait takes all")
	add(t, e, 1)
	assert.EqualValues(t, 8, e.Value(), "taken by Wait, and still there")
	assert.Zero(t, e.Value())

	woken := make(chan error)
	for range 100 {
		go func() { woken <- e.Wait(context.Background()) }()
		runtime.Gosched()
		add(t, e, 1)
		require.NoError(t, <-woken)
	}
	assert.EqualValues(t, 100, e.Value())
}

func TestEventFDWaitEndsWithItsContext(t *testing.T) {
	e := mustEventFD(t)
	why := errors.New("why")
	ended := make(chan error)
	for range 200 {
		ctx, cancel := context.WithCancelCause(context.Background())
		go func() { ended <- e.Wait(ctx) }()
		runtime.Gosched()
		cancel(why)
		require.Equal(t, why, <-ended)
	}
	// The next one is not hit by an old deadline.
	go func() { ended <- e.Wait(patience(t)) }()
	runtime.Gosched()
	add(t, e, 1)
	assert.NoError(t, <-ended)
}

// TestEventFDCancelAgainstWrite lets a write and the end of a context race: what
// was written is taken by this Wait or the next one, never lost, and no Wait is
// ended by another one's context.
func TestEventFDCancelAgainstWrite(t *testing.T) {
	e := mustEventFD(t)
	rounds := 20000
	if testing.Short() {
		rounds = 2000
	}
	start := make(chan context.CancelFunc)
	go func() {
		for cancel := range start {
			cancel()
		}
	}()
	defer close(start)
	for range rounds {
		ctx, cancel := context.WithCancel(context.Background())
		start <- cancel
		go add(t, e, 1)
		if err := e.Wait(ctx); err != nil {
			require.Equal(t, context.Canceled, err)
			require.NoError(t, e.Wait(patience(t)))
		}
	}
	assert.EqualValues(t, rounds, e.Value())
}

func TestEventFDSemaphore(t *testing.T) {
	e := mustEventFD(t, Semaphore())
	add(t, e, 3)
	require.NoError(t, e.Wait(canceled))
	assert.EqualValues(t, 1, e.Value())
	require.NoError(t, e.Wait(canceled))
	assert.Zero(t, e.Value())
	assert.Equal(t, context.Canceled, e.Wait(canceled))

	// One write of as many permits as there are waiters wakes them all, with
	// and without a goroutine behind C.
	for _, c := range []bool{false, true} {
		if c {
			e.C()
			inNetpoller(t, "EventFD).announce")
		}
		for range 50 {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { assert.NoError(t, e.Wait(patience(t))) })
			}
			runtime.Gosched()
			add(t, e, 8)
			all.Wait()
			require.Zero(t, e.Value())
		}
	}
}

// inNetpoller waits until a goroutine sleeps in the netpoller in the function.
func inNetpoller(t testing.TB, function string) {
	t.Helper()
	for ctx := patience(t); ; runtime.Gosched() {
		for _, s := range ourGoroutines() {
			if strings.Contains(s, function) && strings.Contains(s, "[IO wait") {
				return
			}
		}
		require.NoError(t, context.Cause(ctx))
	}
}

// TestEventFDWriteBeforeCancel: what was written before the context ended is
// taken, even if the Wait under way hears of the end first.
func TestEventFDWriteBeforeCancel(t *testing.T) {
	e := mustEventFD(t)
	ended := make(chan error)
	for range 300 {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { ended <- e.Wait(ctx) }()
		inNetpoller(t, "EventFD).block")
		add(t, e, 1)
		cancel()
		require.NoError(t, <-ended)
	}
}

func TestEventFDChannel(t *testing.T) {
	e := mustEventFD(t)
	e.C()
	inNetpoller(t, "EventFD).announce")
	none(t, e.C())
	require.NoError(t, e.Close())

	e = mustEventFD(t)
	add(t, e, 3) // before the goroutine is there
	receive(t, e.C())
	assert.EqualValues(t, 3, e.Value())
	for range 1000 {
		add(t, e, 1)
		receive(t, e.C())
		e.Value()
	}
	ended := make(chan error)
	go func() { ended <- e.Wait(patience(t)) }()
	runtime.Gosched()
	add(t, e, 1)
	require.NoError(t, <-ended)
	go func() { ended <- e.Wait(canceled) }()
	require.Equal(t, context.Canceled, <-ended)
	go func() { ended <- e.Wait(context.Background()) }()
	runtime.Gosched()
	require.NoError(t, e.Close())
	assert.Equal(t, ErrClosed, <-ended)
}

// TestEventFDWaitIsOvertakenByC: the goroutine behind C starts while a Wait has
// its place.
func TestEventFDWaitIsOvertakenByC(t *testing.T) {
	e := mustEventFD(t)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- e.Wait(ctx) }()
	runtime.Gosched()
	c := e.C()
	cancel()
	assert.Equal(t, context.Canceled, <-ended)
	add(t, e, 1)
	receive(t, c)
}

func TestEventFDManyWaiters(t *testing.T) {
	for _, c := range []bool{false, true} {
		e := mustEventFD(t)
		if c {
			e.C()
		}
		const total = 2000
		var got atomic.Int64
		ctx, cancel := context.WithCancel(patience(t))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for e.Wait(ctx) == nil {
					if got.Add(int64(e.Value())) >= total {
						cancel()
					}
				}
			})
		}
		for range total {
			add(t, e, 1)
		}
		all.Wait()
		assert.EqualValues(t, total, got.Load()+int64(e.Value()))
		cancel()
	}
}

func TestEventFDClose(t *testing.T) {
	for _, c := range []bool{false, true} {
		e := mustEventFD(t)
		fd := e.FD()
		if c {
			e.C()
		}
		ended := make(chan error, 4)
		for range cap(ended) {
			go func() { ended <- e.Wait(context.Background()) }()
		}
		go func() { _ = e.Wait(patience(t)) }()
		runtime.Gosched()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				assert.NoError(t, e.Close())
				_, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
				assert.Equal(t, unix.EBADF, err, "closed when Close returns")
			})
		}
		all.Wait()
		for range cap(ended) {
			assert.Equal(t, ErrClosed, <-ended)
		}
		<-e.Done()
		assert.Equal(t, ErrClosed, e.Err())
		assert.Equal(t, ErrClosed, e.Wait(canceled))
		assert.Equal(t, ^uintptr(0), e.FD())
		assert.Zero(t, e.Value())
		_, err := e.File()
		assert.Equal(t, ErrClosed, err)
		none(t, e.C())
	}
}

func TestEventFDNilAndZero(t *testing.T) {
	for name, e := range map[string]*EventFD{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { e.C() })
			assert.Equal(t, ErrClosed, e.Wait(context.Background()))
			assert.Equal(t, ErrClosed, e.Err())
			assert.NoError(t, e.Close())
			assert.Zero(t, e.Value())
			assert.Equal(t, ^uintptr(0), e.FD())
			_, err := e.File()
			assert.Equal(t, ErrClosed, err)
			<-e.Done()
		})
	}
}

func TestEventFDInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := mustEventFD(t)
		defer e.Close()
		add(t, e, 1)
		<-e.C()
		assert.EqualValues(t, 1, e.Value())
	})
}

// TestEventFDCounterAtItsMaximum: a producer that writes a huge number loses
// none of it.
func TestEventFDCounterAtItsMaximum(t *testing.T) {
	e := mustEventFD(t)
	add(t, e, 1<<64-2)
	require.NoError(t, e.Wait(canceled))
	assert.EqualValues(t, uint64(1<<64-2), e.Value())
}

// TestEventFDInAChild hands the eventfd to a child, which signals it. It also
// makes the descriptor blocking, as a plain C program may, and which is shared:
// no Wait here may block a thread for that, or outlive Close.
func TestEventFDInAChild(t *testing.T) {
	e := mustEventFD(t)
	f, err := e.File()
	require.NoError(t, err)
	child := exec.Command(os.Args[0], "-test.run=^TestEventFDChild$")
	child.Env = append(os.Environ(), "CHANADAPTER_CHILD=1")
	child.ExtraFiles = []*os.File{f}
	child.Stderr = os.Stderr
	err = child.Start()
	require.NoError(t, f.Close())
	if errors.Is(err, unix.ENOEXEC) {
		testenv.Missing(t, "exec", "under an emulator this program cannot start itself")
	}
	require.NoError(t, err)
	require.NoError(t, e.Wait(patience(t)))
	require.NoError(t, child.Wait())
	assert.EqualValues(t, 42, e.Value())
	flags, err := unix.FcntlInt(e.FD(), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.Zero(t, flags&unix.O_NONBLOCK, "the child made it blocking")

	if noPreadv2.Load() {
		t.Log("no preadv2 here: a blocking descriptor is not tested")
		return
	}
	ended := make(chan error)
	go func() { ended <- e.Wait(context.Background()) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	assert.Equal(t, context.DeadlineExceeded, e.Wait(ctx))
	assert.Zero(t, e.Value())
	require.NoError(t, e.Close())
	assert.Equal(t, ErrClosed, <-ended)
}

// TestEventFDChild is the child.
func TestEventFDChild(t *testing.T) {
	if os.Getenv("CHANADAPTER_CHILD") == "" {
		t.Skip("only in the process that TestEventFDInAChild starts")
	}
	const fd = 3
	require.NoError(t, unix.SetNonblock(fd, false))
	_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 42))
	require.NoError(t, err)
}

// TestEventFDWithoutPreadv2 runs the way that old kernels go.
func TestEventFDWithoutPreadv2(t *testing.T) {
	defer noPreadv2.Store(noPreadv2.Swap(true))
	e := mustEventFD(t)
	assert.Equal(t, context.Canceled, e.Wait(canceled))
	add(t, e, 7)
	require.NoError(t, e.Wait(canceled))
	assert.EqualValues(t, 7, e.Value())
}

func BenchmarkEventFDWait(b *testing.B) {
	e := mustEventFD(b)
	one := binary.NativeEndian.AppendUint64(nil, 1)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = unix.Write(int(e.FD()), one)
		_ = e.Wait(context.Background())
	}
}

// TestManyFindOutThatPreadv2IsMissing at the same time, which is an error for none.
func TestManyFindOutThatPreadv2IsMissing(t *testing.T) {
	defer noPreadv2.Store(noPreadv2.Load())
	defer func(number uintptr) { preadv2 = number }(preadv2)
	preadv2 = 0xefff // no system call; a higher number is an illegal instruction on arm
	e := mustEventFD(t)
	for range 2000 {
		noPreadv2.Store(false)
		var group sync.WaitGroup
		start := make(chan struct{})
		for range 4 {
			group.Go(func() {
				<-start
				_, err := e.take()
				assert.NoError(t, err)
			})
		}
		close(start)
		group.Wait()
		if t.Failed() {
			break
		}
	}
	assert.True(t, noPreadv2.Load())
}
