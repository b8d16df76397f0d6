package notifier

// This file holds what testing/synctest asks for: channels made in a bubble must
// never be touched by a poller, and channels made outside of one must stay so
// when they are first needed inside.

import "github.com/wakechan/wakechan/internal/bubble"

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
	select {
	case c := <-spares:
		return c
	default:
		panic("notifier: too many notifiers from outside a testing/synctest bubble are waited for inside one: call Done of each before the bubble starts")
	}
}
