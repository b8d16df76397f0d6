package main

// This file holds what other Go modules offer for the same job.

import (
	"github.com/creachadair/msync/trigger"
	"gvisor.dev/gvisor/pkg/eventfd"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nameMsync         = "msync trigger.Cond"
	nameWaiter        = "gVisor waiter.Queue"
	nameGvisorEventFD = "gVisor eventfd.Eventfd + goroutine + channel"
)

// newWaiter returns gVisor's queue with one waiter, a channel of one token.
func newWaiter() (notify func(), c <-chan struct{}) {
	q := new(waiter.Queue)
	e, ch := waiter.NewChannelEntry(waiter.ReadableEvents)
	q.EventRegister(&e)
	return func() { q.Notify(waiter.ReadableEvents) }, ch
}

// newTrigger returns msync's condition, already set. (It makes a new channel for
// each Reset, so a receiver asks for it each time.)
func newTrigger() *trigger.Cond {
	c := trigger.New()
	c.Set()
	return c
}

// withGvisorEventFD parks a thread in the eventfd's Wait.
func withGvisorEventFD() arrangement {
	e := must1(eventfd.Create())
	c := make(chan struct{}, 1)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			must(e.Wait())
			select {
			case <-stop:
				return
			default:
			}
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return arrangement{name: nameGvisorEventFD, way: wayEventFD, target: uint64(e.FD()), c: c, close: func() {
		close(stop)
		must(e.Notify())
		<-stopped
		must(e.Close())
	}}
}
