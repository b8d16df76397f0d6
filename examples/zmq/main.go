// Zmq selects on a libzmq socket that both sends and receives: a DEALER, whose requests
// a C thread answers. Its ZMQ_FD is not to be read: it says that ZMQ_EVENTS may have
// changed, once. Sending may take that word away too. So the replies are looked for
// before the first wait, after each wake-up and after each send.
//
//	apt-get install libzmq3-dev
//	go run -tags zmq ./examples/zmq
//
// It prints each burst of requests that was answered, and how many wake-ups there were in
// all: fewer than messages. Without the tag it builds without libzmq, and says so.
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
	window = 4 // requests under way at a time
)

// socket is a DEALER whose requests a thread answers.
type socket interface {
	fd() uintptr
	send() error    // sends a request
	drain() (n int) // receives the replies that are there
	close()
}

// open makes one; nil in a program that was built without libzmq.
var open func() (socket, error)

func run(ctx context.Context, out io.Writer) error {
	if open == nil {
		fmt.Fprintln(out, "nothing to show here: built without libzmq; use go run -tags zmq, with a C compiler")
		return nil
	}
	s, err := open()
	if err != nil {
		return err
	}
	defer s.close()
	w, err := chanadapter.Watch(s.fd())
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // before the socket is

	next := time.NewTicker(100 * time.Millisecond)
	defer next.Stop()
	start := time.Now()
	got, wakeups, shown := s.drain(), 0, 0
	for asked, due := 0, burst; got < bursts*burst; {
		for asked < due && asked-got < window {
			if err := s.send(); err != nil {
				return err
			}
			asked++
			got += s.drain()
		}
		for ; shown < got/burst; shown++ {
			fmt.Fprintf(out, "%3d ms: burst %d of %d is complete\n", time.Since(start).Milliseconds(), shown+1, bursts)
		}
		if asked < due && asked-got < window || got == bursts*burst {
			continue
		}
		select {
		case <-w.C():
			wakeups++
			got += s.drain()
		case <-next.C:
			due = min(due+burst, bursts*burst)
		case <-ctx.Done():
			fmt.Fprintln(out, "interrupted")
			return nil
		}
	}
	for ; shown < got/burst; shown++ {
		fmt.Fprintf(out, "%3d ms: burst %d of %d is complete\n", time.Since(start).Milliseconds(), shown+1, bursts)
	}
	fmt.Fprintf(out, "%d messages received, %d lost, in %d wake-ups\n", got, bursts*burst-got, wakeups)
	return nil
}
