// Package unlabelled starts the goroutines that the library needs for itself.
//
// A go statement gives a goroutine the profiler labels of whoever executes it. The one
// who happens to call first would then seem to use the time of a goroutine that serves
// everybody, and have labels in profiles for as long as it lives.
package unlabelled

import (
	"time"

	"github.com/wakechan/wakechan/internal/bubble"
)

// Go starts f in a goroutine without the caller's profiler labels: a timer's. In a
// testing/synctest bubble it is a go statement, since a timer there waits until all else
// in the bubble does.
func Go(f func()) {
	if bubble.In() {
		go f()
		return
	}
	time.AfterFunc(0, f)
}
