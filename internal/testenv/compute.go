package testenv

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Compute starts a goroutine that computes, and lets others run every millisecond. stop
// ends it.
func Compute() (stop func()) {
	var done atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for !done.Load() {
			for start := time.Now(); time.Since(start) < time.Millisecond; {
			}
			runtime.Gosched()
		}
	})
	return func() {
		done.Store(true)
		running.Wait()
	}
}
