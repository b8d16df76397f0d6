package chanadapter

// This file holds the tests of EventFD. Producers write to the descriptor with
// plain system calls, as the kernel and other processes do.

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
	if !testenv.Long() {
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

// TestEventFDWhereASandboxDeniesPreadv2 has it answered in the ways that sandboxes have,
// from before the EventFD is made.
func TestEventFDWhereASandboxDeniesPreadv2(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.ENOSYS, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP, unix.EINVAL, 0} {
		t.Run(fmt.Sprintf("errno %d", int(errno)), func(t *testing.T) {
			if !testenv.Child(t) {
				return
			}
			testenv.RefuseWith(t, unix.SYS_PREADV2, errno)
			for name, made := range map[string]func() *EventFD{
				"nonblocking": func() *EventFD { return mustEventFD(t) },
				"blocking":    func() *EventFD { return mustOpen(t, blockingEventFD(t, 0)) },
			} {
				e := made()
				require.Equal(t, context.Canceled, e.Wait(canceled), name)
				add(t, e, 3)
				require.EqualValues(t, 3, e.Value(), name)
				add(t, e, 4)
				require.NoError(t, e.Wait(patience(t)), name)
				require.EqualValues(t, 4, e.Value(), name)
				ended := make(chan error)
				go func() { ended <- e.Wait(patience(t)) }()
				runtime.Gosched()
				add(t, e, 5)
				require.NoError(t, <-ended, name)
				require.EqualValues(t, 5, e.Value(), name)
				c := e.C()
				add(t, e, 6)
				receive(t, c)
				require.EqualValues(t, 6, e.Value(), name)
				require.NoError(t, e.Err(), name)
				require.NoError(t, e.Close())
			}
		})
	}
}

// What is there already costs no memory to take, whatever the context is.
func TestEventFDAllocatesNothing(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	e := mustEventFD(t)
	one := binary.NativeEndian.AppendUint64(nil, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{"without end": context.Background(), "with an end": ctx, "ended": canceled} {
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			_, _ = unix.Write(int(e.FD()), one)
			_ = e.Wait(ctx)
		}), name)
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = unix.Write(int(e.FD()), one)
		assert.NotZero(t, e.Value())
	}), "Value")
	e.C() // has the place to wait from now on
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = unix.Write(int(e.FD()), one)
		_ = e.Wait(ctx)
	}), "beside C")
}

// blockingEventFD is somebody else's.
func blockingEventFD(t testing.TB, flags int) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|flags)
	require.NoError(t, err)
	own(t, fd)
	return fd
}

// qemu-s390x swaps the bytes of what is read from an eventfd, but not through a
// duplicate of fcntl(2) (seen with 7.2).
var misreadDuplicates = sync.OnceValue(func() bool {
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		return false
	}
	defer closeDescriptor(uintptr(fd))
	other, err := duplicate(uintptr(fd))
	if err != nil {
		return false
	}
	defer closeDescriptor(other)
	n, err := readPlainly(other, new(sync.Mutex))
	return err == nil && n != 1
})

func mustOpen(t testing.TB, fd int) *EventFD {
	t.Helper()
	if misreadDuplicates() {
		t.Skip("this emulator misreads duplicates of an eventfd")
	}
	e, err := OpenEventFD(uintptr(fd))
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// TestOpenEventFD has an eventfd of others, nonblocking and blocking: its flags stay, and
// so does the descriptor.
func TestOpenEventFD(t *testing.T) {
	for _, flags := range []int{0, unix.EFD_NONBLOCK} {
		t.Run(fmt.Sprintf("flags %#x", flags), func(t *testing.T) {
			fd := blockingEventFD(t, flags)
			require.NoError(t, signal(fd)) // before
			e := mustOpen(t, fd)
			require.NotEqual(t, uintptr(fd), e.FD())
			assert.Contains(t, e.String(), strconv.Itoa(int(e.FD())))
			require.NoError(t, e.Wait(patience(t)))
			assert.EqualValues(t, 1, e.Value())
			assert.Equal(t, context.Canceled, e.Wait(canceled))

			ended := make(chan error)
			for range 1000 {
				go func() { ended <- e.Wait(patience(t)) }()
				require.NoError(t, signal(fd))
				require.NoError(t, <-ended)
			}
			assert.EqualValues(t, 1000, e.Value())
			for range 100 { // asleep
				go func() { ended <- e.Wait(patience(t)) }()
				inNetpoller(t, "EventFD).block")
				require.NoError(t, signal(fd))
				require.NoError(t, <-ended)
			}
			assert.EqualValues(t, 100, e.Value())

			c := e.C()
			inNetpoller(t, "(*EventFD).announce")
			for range 1000 {
				require.NoError(t, signal(fd))
				receive(t, c)
				e.Value()
			}
			now, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			require.NoError(t, err)
			assert.Equal(t, flags&unix.O_NONBLOCK, now&unix.O_NONBLOCK, "it is as its owner made it")

			f, err := e.File()
			require.NoError(t, err)
			require.NoError(t, f.Close())
			go func() { ended <- e.Wait(context.Background()) }()
			runtime.Gosched()
			require.NoError(t, e.Close())
			assert.Equal(t, ErrClosed, <-ended)
			assert.Equal(t, "EventFD(closed)", e.String())
			require.NoError(t, signal(fd), "it is open still")
		})
	}
}

// Its owner may close it at any time: the duplicate stays.
func TestOpenEventFDOutlivesItsOwner(t *testing.T) {
	fd := blockingEventFD(t, 0)
	e := mustOpen(t, fd)
	closeEarly(t, fd)
	add(t, e, 2)
	require.NoError(t, e.Wait(patience(t)))
	assert.EqualValues(t, 2, e.Value())
}

func TestOpenEventFDOfASemaphore(t *testing.T) {
	for _, flags := range []int{0, unix.EFD_NONBLOCK} {
		e := mustOpen(t, blockingEventFD(t, unix.EFD_SEMAPHORE|flags))
		info, _ := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", e.FD()))
		require.Equal(t, strings.Contains(string(info), "eventfd-semaphore: 1"), e.semaphore)
		for _, known := range []bool{e.semaphore, false} { // false: before Linux 6.5
			e.semaphore = known
			add(t, e, 3)
			require.NoError(t, e.Wait(canceled))
			want := uint64(1)
			if !known {
				want = 2 // that of Wait too
			}
			assert.Equal(t, want, e.Value())
			require.NoError(t, e.Wait(canceled))
			assert.Equal(t, context.Canceled, e.Wait(canceled))
			e.Value()
			// One write of as many permits as there are waiters wakes them all.
			for range 20 {
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() { assert.NoError(t, e.Wait(patience(t))) })
				}
				runtime.Gosched()
				add(t, e, 8)
				all.Wait()
			}
			e.Value()
		}
	}
}

// TestOpenEventFDReadByOthers: a blocking one that two read blocks neither.
func TestOpenEventFDReadByOthers(t *testing.T) {
	fd := blockingEventFD(t, 0)
	a, b := mustOpen(t, fd), mustOpen(t, fd)
	if a.Value(); noPreadv2.Load() {
		t.Skip("without preadv2 it may: see readPlainly")
	}
	const total = 2000
	var got atomic.Int64
	ctx, cancel := context.WithCancel(patience(t))
	defer cancel()
	var all sync.WaitGroup
	for _, e := range []*EventFD{a, b, a, b} {
		all.Go(func() {
			for e.Wait(ctx) == nil {
				if got.Add(int64(e.Value())) >= total {
					cancel()
				}
			}
		})
	}
	for range total {
		require.NoError(t, signal(fd))
	}
	all.Wait()
	assert.EqualValues(t, total, got.Load()+int64(a.Value())+int64(b.Value()))
}

func TestOpenEventFDOfSomethingElse(t *testing.T) {
	r, _ := pipe(t)
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	require.NoError(t, err)
	own(t, timer)
	file, err := os.Open("/dev/null")
	require.NoError(t, err)
	defer file.Close()
	for name, wrong := range map[string]struct {
		fd   uintptr
		want error
	}{
		"a pipe":        {uintptr(r), unix.EINVAL},
		"a timerfd":     {uintptr(timer), unix.EINVAL},
		"a device":      {file.Fd(), unix.EINVAL},
		"not open":      {1 << 20, unix.EBADF},
		"-1":            {^uintptr(0), unix.EBADF},
		"beyond an int": {uintptr(uint64(1)<<32&uint64(^uintptr(0))) | uintptr(eventfd(t)), unix.EBADF},
	} {
		if name == "beyond an int" && strconv.IntSize == 32 {
			continue
		}
		before := openDescriptors()
		_, err := OpenEventFD(wrong.fd)
		assert.ErrorIs(t, err, wrong.want, name)
		assert.ErrorContains(t, err, fmt.Sprint("descriptor ", int(wrong.fd)), name)
		assert.Equal(t, before, openDescriptors(), name)
	}
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{"background": context.Background(), "cancellable": ctx} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = unix.Write(int(e.FD()), one)
				_ = e.Wait(ctx)
			}
		})
	}
	b.Run("value", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = unix.Write(int(e.FD()), one)
			_ = e.Value()
		}
	})
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

// The goroutine behind C has nobody's profiler labels.
func TestEventFDHasNoLabels(t *testing.T) {
	e := mustEventFD(t)
	labelled(func() { e.C() })
	add(t, e, 1)
	receive(t, e.C())
	requireUnlabelled(t, "(*EventFD).announce")
}
