package chanadapter

// This file holds the tests of Watch on Windows' waitable handles, once for each
// way of waiting that this Windows has. What needs no handle is tested on unix.

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"

	"github.com/wakechan/wakechan/internal/testenv"
)

// eachWait runs f with each way of waiting.
func eachWait(t *testing.T, f func(t *testing.T)) {
	best := bestWaits
	defer func() { bestWaits = best }()
	for name, kind := range map[string]waitKind{"packets": packetWaits{}, "pool": poolWaits{}} {
		t.Run(name, func(t *testing.T) {
			if name == "packets" && !packetsExist() {
				testenv.Missing(t, "wait-completion-packets", "ntdll of this Windows (or Wine) has none")
			}
			require.Nil(t, sharedSet())
			bestWaits = func() waitKind { return kind }
			f(t)
		})
	}
}

const (
	autoReset   = 0
	manualReset = 1
)

func event(t testing.TB, manual uint32) windows.Handle {
	t.Helper()
	h, err := windows.CreateEvent(nil, manual, 0, nil)
	require.NoError(t, err)
	own(t, h)
	return h
}

// What owned_test.go needs.
type number = windows.Handle

var closeNumber = windows.CloseHandle

func open(t testing.TB) number {
	h, err := windows.CreateEvent(nil, autoReset, 0, nil)
	require.NoError(t, err)
	return h
}

func mustWatch(t testing.TB, h windows.Handle, opts ...Option) *Watcher {
	t.Helper()
	w, err := Watch(uintptr(h), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func set(t testing.TB, h windows.Handle) {
	t.Helper()
	require.NoError(t, windows.SetEvent(h))
}

// signalled looks without taking the signal of what a wait resets; call it only
// for what stays signalled, or to take it.
func signalled(t testing.TB, h windows.Handle) bool {
	t.Helper()
	e, err := windows.WaitForSingleObject(h, 0)
	require.NoError(t, err)
	return e == windows.WAIT_OBJECT_0
}

// settle returns when the goroutine has dealt with what the thread pool had before:
// another handle's signal has gone the same way twice. With more than 60 handles it has
// not: the pool has a thread for each 63, and knows no order between them.
func settle(t testing.TB) {
	t.Helper()
	h := event(t, autoReset)
	w := mustWatch(t, h)
	for range 2 {
		set(t, h)
		receive(t, w.C())
	}
	require.NoError(t, w.Close())
}

func TestWatchAutoResetEvent(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		h := event(t, autoReset)
		set(t, h) // before
		n := mustWatch(t, h)
		for range 20 {
			receive(t, n.C())
			assert.Equal(t, EventRead, n.Ready())
			settle(t)
			none(t, n.C())
			assert.False(t, signalled(t, h), "the watch has taken the signal")
			set(t, h)
		}
		receive(t, n.C())
		// What nobody receives coalesces.
		for range 5 {
			set(t, h)
			settle(t)
		}
		receive(t, n.C())
		none(t, n.C())
	})
}

func TestWatchSemaphore(t *testing.T) {
	create := kernel32.NewProc("CreateSemaphoreW")
	release := kernel32.NewProc("ReleaseSemaphore")
	eachWait(t, func(t *testing.T) {
		h, _, err := create.Call(0, 0, 100, 0)
		require.NotZero(t, h, "%v", err)
		defer windows.CloseHandle(windows.Handle(h))
		n := mustWatch(t, windows.Handle(h))
		ok, _, err := release.Call(h, 7, 0)
		require.NotZero(t, ok, "%v", err)
		receive(t, n.C())
		// The watch takes them all, one after the other.
		for ctx := patience(t); signalled(t, windows.Handle(h)); runtime.Gosched() {
			require.NoError(t, context.Cause(ctx))
		}
	})
}

func TestWatchManualResetEvent(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		h := event(t, manualReset)
		n := mustWatch(t, h)
		set(t, h)
		receive(t, n.C())
		settle(t)
		none(t, n.C()) // it stays signalled: one token, and no spinning
		require.NoError(t, n.Rearm())
		receive(t, n.C())
		require.NoError(t, windows.ResetEvent(h))
		require.NoError(t, n.Rearm())
		require.NoError(t, n.Rearm())
		settle(t)
		none(t, n.C())
		set(t, h)
		receive(t, n.C())
		assert.True(t, signalled(t, h))
	})
}

func TestWatchOneShot(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		h := event(t, autoReset)
		n := mustWatch(t, h, OneShot())
		set(t, h)
		receive(t, n.C())
		set(t, h)
		settle(t)
		none(t, n.C())
		require.NoError(t, n.Rearm())
		receive(t, n.C())
	})
}

// TestWatchManyHandles: more than one thread of the system can wait for.
func TestWatchManyHandles(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		const count = 150
		var handles []windows.Handle
		var watchers []*Watcher
		for range count {
			handles = append(handles, event(t, autoReset))
			watchers = append(watchers, mustWatch(t, handles[len(handles)-1]))
		}
		for _, odd := range []int{0, 1} {
			for i, h := range handles {
				if i%2 == odd {
					set(t, h)
				}
			}
			for i, w := range watchers {
				if i%2 == odd {
					receive(t, w.C())
				}
			}
			settle(t)
			for _, w := range watchers {
				none(t, w.C())
			}
		}
	})
}

func TestWatchRefusals(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		good := event(t, autoReset)
		w := mustWatch(t, good)
		mutex, err := windows.CreateMutex(nil, false, nil)
		require.NoError(t, err)
		defer windows.CloseHandle(mutex)
		var mute windows.Handle // without SYNCHRONIZE
		self := windows.CurrentProcess()
		require.NoError(t, windows.DuplicateHandle(self, good, self, &mute, windows.EVENT_MODIFY_STATE, false, 0))
		defer windows.CloseHandle(mute)
		gone := windows.Handle(0x7ffffff0) // not one that was closed: the runtime may use its number again
		for name, c := range map[string]struct {
			h    windows.Handle
			is   error
			says string
		}{
			"closed":              {gone, windows.ERROR_INVALID_HANDLE, "not open"},
			"zero":                {0, windows.ERROR_INVALID_HANDLE, "no handle"},
			"own process":         {self, windows.ERROR_INVALID_HANDLE, "-1: it is no handle"},
			"mutex":               {mutex, windows.ERROR_INVALID_HANDLE, "mutex"},
			"without SYNCHRONIZE": {mute, windows.ERROR_ACCESS_DENIED, "SYNCHRONIZE"},
		} {
			_, err := Watch(uintptr(c.h))
			assert.ErrorIs(t, err, c.is, name)
			assert.ErrorContains(t, err, c.says, name)
		}
		for _, opt := range []Option{Writable(), Priority()} {
			_, err := Watch(uintptr(event(t, autoReset)), opt)
			assert.ErrorIs(t, err, errors.ErrUnsupported)
		}
		require.NoError(t, w.Close())
		mustWatch(t, good)
	})
}

func TestWatchClose(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		h := event(t, autoReset)
		for range 10 {
			n := mustWatch(t, h)
			ended := make(chan error, 4)
			for range cap(ended) {
				go func() { ended <- n.Wait(context.Background()) }()
			}
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() { assert.NoError(t, n.Close()) })
			}
			all.Wait()
			for range cap(ended) {
				assert.Equal(t, ErrClosed, <-ended)
			}
			assert.Equal(t, ErrClosed, n.Err())
			assert.Equal(t, ErrClosed, n.Rearm())
			// Nobody waits for it any more, but for Wine's pool, which may take one.
			set(t, h)
			for ctx := patience(t); !signalled(t, h); set(t, h) {
				require.NoError(t, context.Cause(ctx))
			}
			none(t, n.C())
			require.Nil(t, sharedSet())
		}
	})
}

// TestNoHandleIsLeft counts the process's handles.
func TestNoHandleIsLeft(t *testing.T) {
	count := func() (n uint32) {
		_, _, _ = kernel32.NewProc("GetProcessHandleCount").Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n)))
		return n
	}
	eachWait(t, func(t *testing.T) {
		round := func() {
			h := event(t, autoReset)
			n := mustWatch(t, h)
			set(t, h)
			receive(t, n.C())
			require.NoError(t, n.Close())
			closeEarly(t, h)
		}
		round()
		before := count()
		const rounds = 200
		for range rounds {
			round()
		}
		// The runtime and the pool have some more whenever they like, for each thread.
		assert.Less(t, int(count())-int(before), rounds)
	})
}

// TestNumbersUsedAgain: the owner closes first, and the number names another
// object when the Watcher is closed.
func TestNumbersUsedAgain(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		stays := mustWatch(t, event(t, autoReset))
		for tries := 0; !numberUsedAgain(t); tries++ {
			require.Less(t, tries, 100, "a number that was closed is never given out again")
		}
		assert.NoError(t, stays.Err())
	})
}

// numberUsedAgain returns false if it could not be tried.
func numberUsedAgain(t *testing.T) bool {
	h := event(t, autoReset)
	// another makes the number name a new event.
	another := func() bool {
		closeEarly(t, h)
		found := openAgain(t, h)
		if found {
			own(t, h)
		}
		return found
	}
	old := mustWatch(t, h)
	if !another() {
		return false
	}
	set(t, h)
	settle(t)
	none(t, old.C())
	n := mustWatch(t, h)
	<-old.Done()
	assert.ErrorIs(t, old.Err(), windows.ERROR_INVALID_HANDLE)
	receive(t, n.C())
	require.NoError(t, old.Close())
	set(t, h)
	receive(t, n.C())
	none(t, old.C())

	if !another() {
		return false
	}
	assert.ErrorIs(t, n.Rearm(), windows.ERROR_INVALID_HANDLE)
	<-n.Done()
	return true
}

// TestABrokenPortIsAFault: somebody closes the library's port.
func TestABrokenPortIsAFault(t *testing.T) {
	defer func(usual time.Duration) { watchInterval = usual }(watchInterval)
	watchInterval = 50 * time.Millisecond
	eachWait(t, func(t *testing.T) {
		h := event(t, autoReset)
		n := mustWatch(t, h)
		settle(t)
		shared := sharedSet()
		require.NoError(t, windows.CloseHandle(shared.mux.(*portSet).port))
		<-n.Done()
		<-shared.exited
		assert.ErrorContains(t, n.Err(), "the watching of handles broke")
		h = event(t, autoReset)
		again := mustWatch(t, h)
		set(t, h)
		receive(t, again.C())
	})
}

// TestAStrangersPortIsLeftAlone: another's completion port is at the number of one of
// the library's handles. No packet is taken out of it or put into it, and it is not closed.
func TestAStrangersPortIsLeftAlone(t *testing.T) {
	for i, name := range []string{"port", "twin"} {
		t.Run(name, func(t *testing.T) {
			mux, err := newMultiplexer(kind{})
			require.NoError(t, err)
			s := mux.(*portSet)
			h := event(t, manualReset)
			require.NoError(t, s.register(uintptr(h), 1, wish{interest: interest{events: EventRead}}))
			number := []*windows.Handle{&s.port, &s.twin}[i]
			strangers, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 0)
			require.NoError(t, err)
			require.NoError(t, windows.PostQueuedCompletionStatus(strangers, 0, 1, nil))
			own := [2]windows.Handle{s.port, s.twin}
			*number = strangers
			assert.Equal(t, errBroken, s.wait(func(uintptr, Events) bool { s.ended.Store(true); return true }))
			assert.Equal(t, errBroken, s.register(uintptr(event(t, manualReset)), 2, wish{interest: interest{events: EventRead}}))
			s.shut()
			s.free()
			for _, key := range []uintptr{1, 0} {
				var bytes uint32
				var got uintptr
				var overlapped *windows.Overlapped
				err = windows.GetQueuedCompletionStatus(strangers, &bytes, &got, &overlapped, 0)
				if key == 0 {
					assert.ErrorIs(t, err, windows.Errno(windows.WAIT_TIMEOUT), "something was put into it")
				} else if assert.NoError(t, err, "it was taken") {
					assert.Equal(t, key, got)
				}
			}
			for _, h := range append(own[:], strangers) {
				assert.NoError(t, windows.CloseHandle(h))
			}
		})
	}
}

// TestSums: each signal of one goroutine is awaited by it, many at a time.
func TestSums(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		each := 100
		if testing.Short() {
			each = 20
		}
		var all sync.WaitGroup
		for range 8 {
			h := event(t, autoReset)
			w := mustWatch(t, h)
			all.Go(func() {
				for range each {
					_ = windows.SetEvent(h)
					if err := w.Wait(patience(t)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

func TestProcess(t *testing.T) {
	eachWait(t, func(t *testing.T) {
		child := exec.Command(os.Args[0], "-test.run=^TestProcessChild$")
		child.Env = append(os.Environ(), "CHANADAPTER_CHILD=1")
		in, err := child.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		w, err := Process(child.Process.Pid)
		require.NoError(t, err)
		settle(t)
		none(t, w.C())
		require.NoError(t, in.Close())
		receive(t, w.C())
		settle(t)
		none(t, w.C())
		require.NoError(t, w.Close())
		require.NoError(t, child.Wait())
	})
	_, err := Process(0x7ffffff0)
	assert.ErrorIs(t, err, windows.ERROR_INVALID_PARAMETER)
}

// TestProcessChild is the child: it ends when its input does.
func TestProcessChild(t *testing.T) {
	if os.Getenv("CHANADAPTER_CHILD") == "" {
		t.Skip("only in the process that TestProcess starts")
	}
	var b [1]byte
	_, _ = os.Stdin.Read(b[:])
}

func TestWatchRefusesABubble(t *testing.T) {
	h := event(t, autoReset)
	synctest.Test(t, func(t *testing.T) {
		_, err := Watch(uintptr(h))
		assert.ErrorContains(t, err, "synctest")
	})
}

// refusing are waits of which some cannot be begun.
type refusing struct {
	waitKind
	refusals *atomic.Int32 // how many more
}

func (r refusing) arm(s *portSet, e *portEntry) error {
	if r.refusals.Add(-1) >= 0 {
		return windows.ERROR_NOT_ENOUGH_MEMORY
	}
	return r.waitKind.arm(s, e)
}

// TestNextWaitIsRefused, when there is no memory, while the watch is under way. It
// is begun later, and nobody has to ask for it.
func TestNextWaitIsRefused(t *testing.T) {
	defer func(usual time.Duration) { watchInterval = usual }(watchInterval)
	watchInterval = 50 * time.Millisecond
	eachWait(t, func(t *testing.T) {
		var refusals atomic.Int32
		kind := refusing{bestWaits(), &refusals}
		bestWaits = func() waitKind { return kind }
		h := event(t, autoReset)
		n := mustWatch(t, h)
		for range 2 {
			refusals.Store(2)
			set(t, h)
			receive(t, n.C())
			set(t, h)
			receive(t, n.C())
		}
		require.NoError(t, n.Close())
	})
}
