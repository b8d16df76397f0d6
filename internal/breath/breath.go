// Package breath lets a goroutine that spins for a while give the scheduler a moment in
// which it is not runnable.
//
// runtime.Gosched is not enough: with a goroutine that can always run the scheduler
// looks at sockets, pipes and timers of the kernel only every 10 ms (findRunnable and
// sysmon in runtime/proc.go). Parked for about a microsecond, it lets the scheduler
// look, and is made runnable by that very look.
package breath

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parker makes its caller wait for what the scheduler finds when it looks at the kernel's
// sockets and pipes. park reports whether it will do so again.
type parker interface{ park() bool }

var pausing struct {
	mu     sync.Mutex
	tried  bool
	parker parker        // nil if there is none
	broken bool          // its number may be another's: it is kept, for a collected os.File closes its number
	ended  atomic.Uint64 // how many pauses there were
}

// Pause parks the calling goroutine for about a microsecond, or more while others run.
func Pause() {
	// Whoever pauses now serves the caller too; but the caller must not be runnable
	// meanwhile, or the scheduler would take it instead of looking.
	ended := pausing.ended.Load()
	pausing.mu.Lock()
	defer pausing.mu.Unlock()
	if pausing.ended.Load() != ended {
		return
	}
	if !pausing.tried {
		pausing.tried = true
		if p, err := open(); err == nil {
			pausing.parker = p
		}
	}
	if pausing.parker == nil || pausing.broken {
		runtime.Gosched()
		return
	}
	pausing.broken = !pausing.parker.park()
	pausing.ended.Add(1)
}
