package notifier

// This file holds what testing/synctest asks for: channels made in a bubble must
// never be touched by a poller, and channels made outside of one must stay so
// when they are first needed inside.

import (
	"runtime"

	"github.com/wakechan/wakechan/internal/bubble"
)

func inBubble() bool { return bubble.In() }

// spares are channels made outside of any bubble, for notifiers made outside
// whose Done or Wait is first called inside: a bubble's own channel would end the
// process when Close or a fault closes it from outside.
var spares = make(chan chan struct{}, 16)

func init() { topUpSpares() }

// topUpSpares is called outside of bubbles only.
func topUpSpares() {
	for len(spares) < cap(spares) {
		select {
		case spares <- make(chan struct{}):
		default:
			return
		}
	}
}

// newDone makes a channel that belongs where its notifier's does.
func newDone(bubbled bool) chan struct{} {
	if bubbled || !inBubble() {
		return make(chan struct{})
	}
	for {
		select {
		case c := <-spares:
			return c
		default:
			topUpFromOutside()
		}
	}
}

// topUpFromOutside has a cleanup make more: those run outside of any bubble (package
// testing/synctest), and a collection finds that it is due.
func topUpFromOutside() {
	type garbage struct{ _ [4]*int }
	runtime.AddCleanup(new(garbage), func(struct{}) { topUpSpares() }, struct{}{})
	for range 100 {
		runtime.GC()
		for range 1000 {
			if len(spares) != 0 {
				return
			}
			runtime.Gosched()
		}
	}
}
