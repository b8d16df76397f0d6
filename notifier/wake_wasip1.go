package notifier

// This file holds WASI's doorbell. There are no threads and no descriptors to
// signal: the poller is parked on a condition, and who signals is a goroutine, or the
// host through an export (package wasmexport).

import (
	"sync"
	"time"
)

// Other systems' doorbells would not do: a guest that sleeps is inside poll_oneoff,
// which ends for its own subscriptions only.
var backends = []backend{
	{"loop", kindLoop, openLoop},
}

// loop is no channel: one that NewPoller made in a testing/synctest bubble would be
// the bubble's, and the poller, which is not in it, must not receive from that.
type loop struct {
	mu        sync.Mutex
	signalled bool // since the poller last fell asleep
	wake      sync.Cond
}

var _ doorbell = (*loop)(nil)

func openLoop() (doorbell, error) {
	l := new(loop)
	l.wake.L = &l.mu
	return l, nil
}

func (l *loop) descriptor() uint32 { return 0 }

func (l *loop) signal() error {
	l.mu.Lock()
	l.signalled = true
	l.mu.Unlock()
	l.wake.Signal()
	return nil
}

// wait never returns errSelfCheck: nothing here can break, and a timer would keep
// the runtime from seeing a deadlock.
func (l *loop) wait(look func() bool, _ time.Duration) error {
	for !look() {
		l.mu.Lock()
		for !l.signalled {
			l.wake.Wait()
		}
		l.signalled = false
		l.mu.Unlock()
	}
	return nil
}

func (l *loop) check() error { return nil }

func (l *loop) discard() {}
