// Curl has libcurl fetch fifty files at once, by one goroutine and one channel. libcurl
// says which sockets it wants to be told of, and a chanadapter.Group has a Watcher for
// each. The select has a timer and a progress line too.
//
//	apt-get install libcurl4-openssl-dev
//	go run -tags curl ./examples/curl
//
// It prints a progress line every 100 ms, and in the end how many bytes came in how many
// wake-ups. Without the tag it builds without libcurl, and says so.
package main

// This file holds the select loop; the calls of libcurl are in client_curl.go. The
// server is Go's, on a port of this machine.

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/wakechan/wakechan/chanadapter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		os.Exit(1)
	}
}

const (
	files  = 50
	pieces = 20
	piece  = 10_000
	nap    = 20 * time.Millisecond // between two pieces
)

// wish is what libcurl wants to be told of a socket.
type wish struct {
	fd     int
	events chanadapter.Events // 0: nothing
	closed bool               // it is closed
}

// client is libcurl with its transfers, used by one goroutine.
type client interface {
	act(fd int, e chanadapter.Events) error // a socket is ready
	timeout() error                         // the time that libcurl wanted to be called at has come
	wishes() []wish                         // since the last call
	timer() (after time.Duration, set, changed bool)
	progress() (done int, bytes int64, err error)
	close()
}

// open begins the transfers; nil in a program that was built without libcurl.
var open func(url string, files int) (client, error)

func run(ctx context.Context, out io.Writer) error {
	if open == nil {
		fmt.Fprintln(out, "nothing to show here: built without libcurl; use go run -tags curl, with a C compiler")
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	c, err := open(server.URL, files)
	if err != nil {
		return err
	}
	defer c.close()

	g := chanadapter.NewGroup()
	defer g.Close() // and all its Watchers, before libcurl closes the sockets
	watchers := map[int]*chanadapter.Watcher{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	line := time.NewTicker(100 * time.Millisecond)
	defer line.Stop()
	start, wakeups := time.Now(), 0
	for {
		if after, set, changed := c.timer(); changed && set {
			timer.Reset(after)
		} else if changed {
			timer.Stop()
		}
		for _, wish := range c.wishes() {
			if err := follow(g, watchers, wish); err != nil {
				return err
			}
		}
		done, bytes, err := c.progress()
		if err != nil {
			return err
		}
		if done == files {
			fmt.Fprintf(out, "%d files, %d bytes, in %d wake-ups of one goroutine\n", done, bytes, wakeups)
			return nil
		}

		select {
		case <-g.C():
			wakeups++
			for w, events := range g.Ready() {
				if err := c.act(w.Value().(int), events); err != nil {
					return err
				}
				// libcurl reads a part of what is there: one-shot, and anew.
				_ = w.Rearm()
			}
		case <-timer.C:
			if err := c.timeout(); err != nil {
				return err
			}
		case <-line.C:
			const width = 30
			full := int(bytes * width / (files * pieces * piece))
			fmt.Fprintf(out, "%4d ms [%s%s] %d of %d files, %d kB\n", time.Since(start).Milliseconds(),
				strings.Repeat("#", full), strings.Repeat(".", width-full), done, files, bytes/1000)
		case <-ctx.Done():
			fmt.Fprintln(out, "interrupted")
			return nil
		}
	}
}

// follow does what libcurl wishes.
func follow(g *chanadapter.Group, watchers map[int]*chanadapter.Watcher, wish wish) (err error) {
	w := watchers[wish.fd]
	switch {
	case wish.closed || wish.events == 0:
		delete(watchers, wish.fd)
		return w.Close() // nil if it was closed before
	case w != nil && w.Change(chanadapter.Interest(wish.events), chanadapter.OneShot()) == nil:
		return nil
	default:
		_ = w.Close()
		watchers[wish.fd], err = chanadapter.Watch(uintptr(wish.fd), chanadapter.Interest(wish.events),
			chanadapter.OneShot(), chanadapter.In(g), chanadapter.WithValue(wish.fd))
		return err
	}
}

// serve sends a file slowly.
func serve(w http.ResponseWriter, r *http.Request) {
	for range pieces {
		if _, err := w.Write(make([]byte, piece)); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(nap):
		case <-r.Context().Done():
			return
		}
	}
}
