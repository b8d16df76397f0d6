package notifier

// This file holds WASI's doorbell. There are no threads and no descriptors to
// ring: the poller is parked on a condition, and who rings is a goroutine, or the
// host through an export (package wasmexport).

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

var backends = []backend{
	{"loop", kindLoop, openLoop},
	{"pipe", kindNone, openNone},
	{"eventfd", kindNone, openNone},
}

// openNone says why there are not the others: an asleep guest is inside
// poll_oneoff, which ends for its own subscriptions only.
func openNone() (doorbell, error) {
	return nil, fmt.Errorf("nothing can interrupt poll_oneoff on wasip1: %w", errors.ErrUnsupported)
}

// loop is no channel: one that NewPoller made in a testing/synctest bubble would be
// the bubble's, and the poller, which is not in it, must not receive from that.
type loop struct {
	mu   sync.Mutex
	rung bool // since the poller last fell asleep
	wake sync.Cond
}

var _ doorbell = (*loop)(nil)

func openLoop() (doorbell, error) {
	l := new(loop)
	l.wake.L = &l.mu
	return l, nil
}

func (l *loop) descriptor() uint32 { return 0 }

func (l *loop) ring() error {
	l.mu.Lock()
	l.rung = true
	l.mu.Unlock()
	l.wake.Signal()
	return nil
}

// wait never returns errWatch: nothing here can break, and a timer would keep
// the runtime from seeing a deadlock.
func (l *loop) wait(look func() bool, _ time.Duration) error {
	for !look() {
		l.mu.Lock()
		for !l.rung {
			l.wake.Wait()
		}
		l.rung = false
		l.mu.Unlock()
	}
	return nil
}

func (l *loop) check() error { return nil }

func (l *loop) discard() {}
