//go:build wasip1

// A guest for main_test.go.
package main

import (
	"context"
	"runtime"
	"time"

	"github.com/wakechan/wakechan/notifier"
	_ "github.com/wakechan/wakechan/notifier/wasmexport"
)

func main() {}

var (
	p        *notifier.Poller
	n        *notifier.Notifier
	received uint64
	last     uint64 // received at the end of a chain of goroutines
)

//go:wasmexport open
func open() uint64 {
	p, _ = notifier.NewPoller(notifier.WithLinger(time.Second))
	n, _ = p.New()
	h, err := n.Handle()
	if err != nil {
		panic(err)
	}
	return uint64(h)
}

// receive starts a goroutine that counts wake-ups, and a chain of as many more
// through which each goes.
//
//go:wasmexport receive
func receive(chain int32) {
	received, last = 0, 0
	in := make(chan struct{})
	go func(out chan struct{}) {
		for range n.Wakes(context.Background()) {
			received++
			out <- struct{}{}
		}
		close(out)
	}(in)
	for range chain {
		out := make(chan struct{})
		go func(in, out chan struct{}) {
			for range in {
				out <- struct{}{}
			}
			close(out)
		}(in, out)
		in = out
	}
	go func() {
		for range in {
			last++
		}
	}()
	for range 2 {
		runtime.Gosched() // until they wait
	}
}

//go:wasmexport count
func count() uint64 { return received }

//go:wasmexport end
func end() uint64 { return last }

//go:wasmexport linger
func linger() uint64 { return uint64(p.Stats().Linger) }

// busy starts goroutines that never block.
//
//go:wasmexport busy
func busy(goroutines int32) {
	for range goroutines {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
}

//go:wasmimport host call
func hostCall()

// nested calls the host, which may call an export in turn.
//
//go:wasmexport nested
func nested() uint64 {
	hostCall()
	return received
}

//go:wasmexport shut
func shut() { _ = n.Close() }
