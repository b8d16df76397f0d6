//go:build gc && ((linux && (amd64 || arm64)) || (darwin && amd64) || (windows && amd64)) && !wakechan_fakelibc

package notifier

// This file holds that the C functions may be called at any moment: while the world
// stops, memory is collected, a profile is taken and signals come; on threads that Go does
// not know, on Go's threads inside of C, and on goroutines.

import (
	"io"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ccall"
	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// sendSignal sends one of several signals to this process, where that can be done.
var sendSignal = func(int) {}

// disturb does what may not disturb a call, until the function returned is called.
func disturb(t *testing.T) (stop func()) {
	t.Helper()
	require.NoError(t, pprof.StartCPUProfile(io.Discard))
	done := make(chan struct{})
	var all sync.WaitGroup
	loop := func(f func(i int)) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					f(i)
					runtime.Gosched()
				}
			}
		})
	}
	loop(func(int) { runtime.GC() })
	loop(func(int) {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
	})
	loop(sendSignal)
	return func() {
		close(done)
		all.Wait()
		pprof.StopCPUProfile()
	}
}

func TestCallbackAtAnyMoment(t *testing.T) {
	n := newOpen(t)
	h := handleOf(t, n)
	arguments := [6]uint64{2: uint64(h)}
	function, err := Callback(2, Returns(1))
	require.NoError(t, err)
	bound, err := n.Bind(Returns(1))
	require.NoError(t, err)

	callers := map[string]func(function unsafe.Pointer, each int) (wrong uint64){
		"goroutines": func(function unsafe.Pointer, each int) uint64 {
			var all sync.WaitGroup
			var mu sync.Mutex
			wrong := uint64(0)
			for range 2 {
				all.Go(func() {
					mine := uint64(0)
					for range each {
						if ccall.Call(function, arguments[:]...) != 1 {
							mine++
						}
					}
					mu.Lock()
					defer mu.Unlock()
					wrong += mine
				})
			}
			all.Wait()
			return wrong
		},
	}
	if foreign.Available {
		callers["Go's threads in C"] = func(function unsafe.Pointer, each int) uint64 {
			return foreign.Calls(ccall.Checked(), function, arguments, 1, 0, each)
		}
		callers["threads of C"] = func(function unsafe.Pointer, each int) uint64 {
			return foreign.Calls(ccall.Checked(), function, arguments, 1, 2, each)
		}
	}
	for name, call := range callers {
		t.Run(name, func(t *testing.T) {
			for _, f := range []unsafe.Pointer{function, bound} {
				stop := disturb(t)
				wrong := make(chan uint64, 1)
				go func() { wrong <- call(f, testenv.Times(2000000)) }()
				wakes := 0
				for ended := false; !ended; {
					select {
					case <-n.C():
						wakes++
					case w := <-wrong:
						assert.Zero(t, w, "calls with a wrong result, or that changed a register")
						ended = true
					}
				}
				stop()
				// Of whatever is left one call more is seen.
				n.Clear()
				assert.Zero(t, call(f, 1))
				receive(t, n)
				t.Logf("%d wake-ups", wakes)
			}
		})
	}
}

// What a goroutine wrote before it called C, which called the function, is seen after
// Wait: the race detector, which would fail this test, has nothing to say.
func TestPlainMemoryThroughCallback(t *testing.T) {
	if !foreign.Available {
		testenv.Missing(t, "cgo", "without it there is no race detector")
	}
	n := newOpen(t)
	function, err := n.Bind()
	require.NoError(t, err)
	var x int
	for i := range 100 {
		go func() {
			x = i
			foreign.Calls(ccall.Checked(), function, [6]uint64{}, 0, 0, 1)
		}()
		require.NoError(t, n.Wait(t.Context()))
		require.Equal(t, i, x)
	}
}
