//go:build race && cgo

package notifier

// This file tests what users see who run their tests with the race detector, and let
// their goroutines call C code that notifies.

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// Plain memory that was written before a notification is read after Wait, or after
// Clear: the detector, which would fail this test, has nothing to say.
func TestPlainMemoryThroughC(t *testing.T) {
	n := New()
	defer n.Close()
	h := uint64(handleOf(t, n))
	var x, seen int
	taken := []func(){
		func() { require.NoError(t, n.Wait(t.Context())) },
		func() {
			for !n.Clear() {
				runtime.Gosched()
			}
		},
	}
	for i := range 100 {
		go func() {
			x = i
			foreign.Notify(h)
		}()
		taken[i%2]()
		seen = x
		require.Equal(t, i, seen)
	}
}

// A race of two goroutines that no notification orders is reported, though both use
// notifiers, and one of them C.
func TestGenuineRaceIsReported(t *testing.T) {
	if !testenv.ChildRaces(t) {
		return
	}
	n := New()
	defer n.Close()
	h := uint64(handleOf(t, n))
	x := 0
	done := make(chan bool)
	go func() {
		foreign.Notify(h)
		x = 1
		done <- true
	}()
	_ = n.Wait(t.Context())
	x++
	<-done
}
