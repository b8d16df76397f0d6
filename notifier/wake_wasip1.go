package notifier

// This file holds WASI's doorbell. There are no threads and no descriptors to
// ring: the poller is parked on a Go channel, and who rings is a goroutine, or
// the host through an export (package wasmexport).

import (
	"errors"
	"fmt"
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

type loop chan struct{}

var _ doorbell = loop(nil)

func openLoop() (doorbell, error) { return make(loop, 1), nil }

func (l loop) descriptor() uint32 { return 0 }

func (l loop) ring() error {
	select {
	case l <- struct{}{}:
	default: // rung already
	}
	return nil
}

// wait never returns errWatch: nothing here can break, and a timer would keep
// the runtime from seeing a deadlock.
func (l loop) wait(look func() bool, _ time.Duration) error {
	for !look() {
		<-l
	}
	return nil
}

func (l loop) check() error { return nil }

func (l loop) discard() {}
