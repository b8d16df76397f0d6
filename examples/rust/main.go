//go:build cgo && rust

package main

// This file holds the build with the Rust half; norust.go has the one without.

// #cgo LDFLAGS: -L${SRCDIR} -lengine -lpthread -ldl -lm
// #include <stdint.h>
// void engine_start(uint64_t handle, uint64_t threads, uint64_t items, uint64_t interval_us);
// uint64_t engine_take(void);
// int engine_notify(uint64_t handle);
import "C"

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

func main() {
	threads := flag.Int("threads", 2, "how many threads of Rust")
	items := flag.Int("n", 5, "how many items each makes")
	interval := flag.Duration("interval", 200*time.Millisecond, "time between two items of a thread")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	n := notifier.New()
	h, err := n.Handle()
	if err != nil {
		fatal(err)
	}
	start := time.Now()
	C.engine_start(C.uint64_t(h), C.uint64_t(*threads), C.uint64_t(*items), C.uint64_t(interval.Microseconds()))
	made, wakes := 0, 0
	for made < *threads**items && n.Wait(ctx) == nil {
		took := int(C.engine_take())
		made += took
		wakes++
		fmt.Printf("%8.3f s: woken by Rust, %d new, %d in all\n", time.Since(start).Seconds(), took, made)
	}
	// What Rust is told before and after Close; 0 is the name of nothing.
	before := C.engine_notify(C.uint64_t(h))
	n.Close()
	fmt.Printf("%d items by %d threads in %d wake-ups; notify says %d, after Close %d, for handle 0 %d\n",
		made, *threads, wakes, before, C.engine_notify(C.uint64_t(h)), C.engine_notify(0))
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "rust:", err)
	os.Exit(1)
}
