// Postgres has the notifications of a PostgreSQL server as a case of a select: LISTEN,
// and a chanadapter.Watcher of libpq's socket. The server is one of its own, on no port,
// which it starts and stops. Another connection notifies.
//
//	apt-get install libpq-dev postgresql
//	go run -tags postgres ./examples/postgres
//
// It prints each notification as it comes, and in the end that none was lost. Without the
// tag it builds without libpq, and says so.
package main

// This file holds the select loop; libpq is in listener_postgres.go.

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
		fmt.Fprintln(os.Stderr, "postgres:", err)
		os.Exit(1)
	}
}

const total = 10

// server is a PostgreSQL server with two connections, each used by one goroutine.
type server interface {
	fd() uintptr
	received() (texts []string, err error) // reads a part of what is there
	notify(text string) error              // on the other connection
	close()
}

// open starts one; nil in a program that was built without libpq.
var open func() (server, error)

func run(ctx context.Context, out io.Writer) error {
	if open == nil {
		fmt.Fprintln(out, "nothing to show here: built without libpq; use go run -tags postgres, with a C compiler")
		return nil
	}
	s, err := open()
	if err != nil {
		return err
	}
	defer s.close()
	// libpq reads a part of what is there. One-shot: Rearm looks for the rest.
	w, err := chanadapter.Watch(s.fd(), chanadapter.OneShot())
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // before the socket is

	start := time.Now()
	pulse := time.NewTicker(100 * time.Millisecond)
	defer pulse.Stop()
	sent, got := 0, 0
	for got < total {
		select {
		case <-w.C():
			texts, err := s.received()
			if err != nil {
				return err
			}
			for _, text := range texts {
				got++
				fmt.Fprintf(out, "%4d ms: notified of %q\n", time.Since(start).Milliseconds(), text)
			}
			if err := w.Rearm(); err != nil {
				return err
			}
		case <-pulse.C:
			if sent < total {
				sent++
				if err := s.notify(fmt.Sprintf("order %d", sent)); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			fmt.Fprintln(out, "interrupted")
			return nil
		}
	}
	fmt.Fprintf(out, "%d notifications received, %d lost\n", got, sent-got)
	return nil
}
