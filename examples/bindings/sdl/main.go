// Sdl waits for SDL's events without a thread that polls. It uses the binding
// github.com/veandco/go-sdl2 as it is: SDL calls a watch on whatever thread pushes an
// event, and the binding calls Go there. That is a cgo callback, so it may use the
// notifier of Go.
//
//	go run -C examples/bindings ./sdl
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/veandco/go-sdl2/sdl"

	"github.com/wakechan/wakechan/notifier"
)

const events = 100

func main() {
	check(sdl.Init(sdl.INIT_EVENTS))
	defer sdl.Quit()
	n := notifier.New()
	watch := sdl.AddEventWatchFunc(func(sdl.Event, any) bool {
		return n.Notify() == nil
	}, nil)
	defer sdl.DelEventWatch(watch)

	go func() { // a part of the program that knows nothing of the loop below
		for i := range events {
			_, err := sdl.PushEvent(&sdl.UserEvent{Type: sdl.USEREVENT, Code: int32(i)})
			check(err)
		}
	}()
	for seen := 0; seen < events; {
		// SDL calls the watch before the event is in its queue, so a token may come too
		// early for the last one: look again after a moment.
		select {
		case <-n.C():
		case <-time.After(10 * time.Millisecond):
		}
		for event := sdl.PollEvent(); event != nil; event = sdl.PollEvent() {
			if _, ok := event.(*sdl.UserEvent); ok {
				seen++
			}
		}
	}
	check(n.Close())
	fmt.Println(events, "events")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
