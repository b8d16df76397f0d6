// Zmq selects on a libzmq socket. Its ZMQ_FD is not to be read: it says that
// ZMQ_EVENTS may have changed, once, so the socket is drained before the first
// wait and after each wake-up. A C thread pushes bursts of messages.
//
//	apt-get install libzmq3-dev
//	go run -tags zmq ./examples/zmq
//
// It prints each burst as it comes, and how many wake-ups there were in all: fewer
// than messages. Without the tag it builds without libzmq, and says so.
package main

// This file holds the select loop; the socket is in socket_zmq.go.

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/wakechan/wakechan/chanadapter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "zmq:", err)
		os.Exit(1)
	}
}

const (
	bursts = 8
	burst  = 500
)

// socket is a PULL socket whose other end a thread pushes to.
type socket interface {
	fd() uintptr
	drain() (n int) // receives what is there
	close()
}

// open makes one; nil in a program that was built without libzmq.
var open func(bursts, burst int, gap time.Duration) (socket, error)

func run(ctx context.Context, out io.Writer) error {
	if open == nil {
		fmt.Fprintln(out, "nothing to show here: built without libzmq; use go run -tags zmq")
		return nil
	}
	s, err := open(bursts, burst, 100*time.Millisecond)
	if err != nil {
		return err
	}
	defer s.close()
	w, err := chanadapter.Watch(s.fd())
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // before the socket is

	start := time.Now()
	got, wakeups, shown := s.drain(), 0, 0
	for got < bursts*burst {
		select {
		case <-w.C():
			wakeups++
			got += s.drain()
		case <-ctx.Done():
			fmt.Fprintln(out, "interrupted")
			return nil
		}
		for ; shown < got/burst; shown++ {
			fmt.Fprintf(out, "%3d ms: burst %d of %d is complete\n", time.Since(start).Milliseconds(), shown+1, bursts)
		}
	}
	fmt.Fprintf(out, "%d messages received, %d lost, in %d wake-ups\n", got, bursts*burst-got, wakeups)
	return nil
}
