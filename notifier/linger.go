package notifier

// This file holds the lingering: how long a poller that has found something looks for
// more before it goes to sleep, and when it does not. That the choice is right or wrong
// costs time only: what is not found here wakes the poller from its sleep.
//
// ring/reader.go has another algorithm for its readers. A poller serves anybody and sees
// only whether something came; a reader sees how many records came and how far the
// producer is ahead, and chooses by that.

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/internal/breath"
	"github.com/wakechan/wakechan/internal/clock"
	"github.com/wakechan/wakechan/internal/quota"
)

// DefaultLinger is the longest time that a Poller looks for more notifications
// before it goes to sleep, unless [WithLinger] or the environment says otherwise.
const DefaultLinger = 100 * time.Microsecond

// lingerVariable is the environment variable that sets the longest time where the
// program does not.
const lingerVariable = "NOTIFIER_LINGER"

// WithLinger sets the longest time that the poller keeps looking for more
// notifications, after it has found some, before it goes to sleep. While it looks,
// a notification costs no system call and arrives sooner, and the poller spins,
// letting other goroutines run. The time in use adapts below that ceiling: it grows
// while notifications keep coming closer together than the ceiling, and is zero
// for a slow or idle source, while nobody receives, and where lingering turns out to
// hold a processor that the notifying thread or anybody else needs. 0 turns lingering
// off. On WASI, which has no threads, it is always off.
//
// Without this option the environment variable NOTIFIER_LINGER is the ceiling, as
// [time.ParseDuration] reads it, or else [DefaultLinger]. On Linux it is 0 instead of
// DefaultLinger in a control group that may use less than two processors (cpu.max, or
// cpu.cfs_quota_us with version 1): there the spinning would use up what the program
// may have.
func WithLinger(ceiling time.Duration) PollerOption {
	return func(o *pollerOptions) { o.ceiling, o.ceilingSet = max(ceiling, 0), true }
}

// ceilingFor returns the ceiling where the program has not set it.
func ceilingFor(value string) (time.Duration, error) {
	if value == "" {
		return quota.Linger(DefaultLinger), nil
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("notifier: the environment has %s=%s: %w", lingerVariable, value, err)
	}
	return max(d, 0), nil
}

func ceilingFromEnvironment() (time.Duration, error) { return ceilingFor(os.Getenv(lingerVariable)) }

// The window is how long the poller lingers now. It adapts as KVM's halt polling does
// (Documentation/virt/kvm/halt-polling.rst): from firstWindow it doubles up to the
// ceiling each time that a notification came after the window but within the ceiling,
// and halves, down to none, each time that one came later than that.
const (
	firstWindow = 12 * time.Microsecond

	// When the receivers are behind, every token found its channel full. Nobody waits
	// for the poller then; lingering spares the producers the doorbell, and each scan
	// takes cache lines from them. So it pays only for a flood: notifications that come
	// closer together than a sleep and its end cost, about dense. Then the next scan
	// waits for the time of pace. A flood is seen within glance of a scan: a slower one is
	// seen there too, soon. That a sleep was short says nothing: one in 50 µs may come
	// just after a poller that takes 45 to wake up.
	pace   = 20 * time.Microsecond
	dense  = 8 * time.Microsecond
	glance = time.Microsecond

	// A notification that comes just after the poller went to sleep, within a soon-th
	// of the ceiling, may be one that lingering has kept from coming: where there
	// is no other processor for its sender, the kernel lets that wait for the
	// window's end. One that was kept costs about half a window, and one that
	// lingering found saves an eighth of that: so it weighs as much as keeps of
	// those. When enough more weight has gathered than was found, there is no
	// lingering for the time of truce; after that the next one kept is enough.
	soon   = 8
	keeps  = 8
	enough = 4 * keeps
	truce  = 10 * time.Millisecond
)

// lingering is a poller's. Only its goroutine uses it, but for window, which Stats reads.
type lingering struct {
	ceiling time.Duration
	window  atomic.Int64
	spun    time.Duration // how long the last one was that found nothing
	flood   bool          // notifications came close together while the receivers were behind
	kept    int           // what lingering seems to have kept, against what it found
	spin    breath.Spin   // lingers not while others want the processor
}

// more looks for more for the time of the window, letting others run, and reports
// whether there is. ready is the word to look at, stop ends it at once, and behind means
// that the receivers are.
func (l *lingering) more(ready *uint32, stop *atomic.Uint32, behind bool) bool {
	l.spun = 0
	window := time.Duration(l.window.Load())
	if l.ceiling == 0 || window == 0 && !behind {
		return false
	}
	start := clock.Now()
	if !l.spin.Start(start) {
		return false
	}
	from, end := start, start+window
	if behind {
		from, end = start+min(pace, l.ceiling), start+glance
		if l.flood {
			end = from
		}
	}
	first := time.Duration(-1) // when there was something
	for t := start; ; {
		if stop.Load() != 0 {
			return true
		}
		if first < 0 && atomic.LoadUint32(ready) != 0 {
			first = t - start
			if behind {
				end = from
				l.flood = first < dense
			}
		}
		goOn := l.spin.Look(t)
		if first >= 0 && (t >= from || !goOn) {
			l.kept = max(l.kept-1, 0)
			return true
		}
		if t > end || !goOn {
			l.spun, l.flood = t-start, false
			return false
		}
		if behind && first < 0 && !l.flood {
			t = clock.Now() // a glance: yielding would wake a thread of an idle processor
		} else {
			t = l.spin.Yield(t)
		}
	}
}

// slept adapts the window after a sleep.
func (l *lingering) slept(d time.Duration) {
	now := clock.Now()
	l.spin.Woke(now)
	window := time.Duration(l.window.Load())
	before := window
	if l.spun+d <= l.ceiling {
		window = min(max(2*window, firstWindow), l.ceiling)
	} else if window /= 2; window < firstWindow {
		window = 0
	}
	if d < l.ceiling/soon && before >= l.ceiling/4 && l.spun > 0 {
		if l.kept += keeps; l.kept >= enough {
			l.kept -= keeps
			l.spin.Rest(now + truce)
			window = 0
		}
	}
	l.window.Store(int64(window))
}
