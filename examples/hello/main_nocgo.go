//go:build !cgo

// Hello wakes a goroutine from outside of its select loop. This is the twin for a
// build without cgo: a goroutine plays the C thread, and knows only the number. A
// foreign library without cgo is in examples/purego.
package main

import (
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

var ready atomic.Int32 // events that the loop has not seen yet

func library(h notifier.Handle) {
	for range 3 {
		ready.Add(1)
		_ = h.Notify()
	}
}

func main() {
	n := notifier.New()
	defer n.Close()
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("built without cgo: a goroutine plays the C thread")
	go library(h)
	for seen := 0; seen < 3; {
		select {
		case <-n.C(): // one event or several
			seen += int(ready.Swap(0))
			fmt.Println("woken:", seen, "of 3 events so far")
		case <-time.After(10 * time.Second):
			log.Fatal("no wake-up came")
		}
	}
}
