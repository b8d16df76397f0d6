package main

// This file holds what other Go modules offer for the same job.

import (
	"github.com/creachadair/msync/trigger"
	"github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
	"gvisor.dev/gvisor/pkg/eventfd"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nameMsync         = "msync trigger.Cond"
	nameWaiter        = "gVisor waiter.Queue"
	nameGvisorEventFD = "gVisor eventfd.Eventfd + goroutine + channel"
	nameGnet          = "gnet Poller.Trigger"
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

// gnetPoller is gnet's poller with a goroutine in its Polling.
type gnetPoller struct {
	*netpoll.Poller
	ended chan struct{}
}

func newGnetPoller() *gnetPoller {
	p := &gnetPoller{must1(netpoll.OpenPoller()), make(chan struct{})}
	go func() {
		defer close(p.ended)
		if err := p.Polling(func(int, netpoll.IOEvent, netpoll.IOFlags) error { return nil }); err != errors.ErrEngineShutdown {
			panic(err)
		}
	}()
	return p
}

// trigger has p's goroutine call f.
func (p *gnetPoller) trigger(f queue.Func) { must(p.Trigger(queue.HighPriority, f, nil)) }

func (p *gnetPoller) close() {
	p.trigger(func(any) error { return errors.ErrEngineShutdown })
	<-p.ended
	must(p.Close())
}

// gnetPingPong has the functions that two pollers run trigger each other.
func gnetPingPong() game {
	ping, pong := newGnetPoller(), newGnetPoller()
	left, done := 0, make(chan struct{})
	var there, back queue.Func
	there = func(any) error { pong.trigger(back); return nil }
	back = func(any) error {
		if left--; left == 0 {
			done <- struct{}{}
		} else {
			ping.trigger(there)
		}
		return nil
	}
	return game{func(rallies int) {
		left = rallies
		ping.trigger(there)
		<-done
	}, func() {
		ping.close()
		pong.close()
	}}
}

// gnetPending is a poller in the middle of a call, so that what is triggered stays
// pending and signals nothing.
type gnetPending struct {
	p          *gnetPoller
	held, free chan struct{}
}

func newGnetPending() *gnetPending {
	g := &gnetPending{newGnetPoller(), make(chan struct{}), make(chan struct{})}
	g.p.trigger(g.hold)
	<-g.held
	return g
}

func (g *gnetPending) hold(any) error {
	g.held <- struct{}{}
	<-g.free
	return nil
}

func (g *gnetPending) trigger() { g.p.trigger(nothing) }

func nothing(any) error { return nil }

// drain lets the poller make all calls that are due.
func (g *gnetPending) drain() {
	g.p.trigger(g.hold)
	g.free <- struct{}{}
	<-g.held
}

func (g *gnetPending) close() {
	g.free <- struct{}{}
	g.p.close()
}
