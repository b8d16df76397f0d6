//go:build cgo && rust

package main

// This file holds the build with the Rust half; norust.go has the one without.

// #cgo LDFLAGS: -L${SRCDIR} -lringengine -lpthread -ldl -lm
// #include <stddef.h>
// #include <stdint.h>
// void engine_start(uint64_t ring, uint32_t threads, uint64_t samples, uint64_t pause_us);
// uint64_t engine_running(void);
// uint64_t engine_refused(void);
// int engine_push(uint64_t ring, size_t length);
// size_t engine_read(uint64_t out, unsigned char *buffer, size_t capacity);
import "C"

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/wakechan/wakechan/ring"
)

// sample is Sample of engine.rs.
type sample struct {
	Thread, Length uint32
	Number         uint64
	Text           [16]byte
}

func main() {
	threads := flag.Int("threads", 3, "how many threads of Rust")
	samples := flag.Int("n", 100_000, "how many samples each pushes")
	pause := flag.Duration("pause", 100*time.Microsecond, "how long a thread pauses after 64 samples")
	size := flag.Int("size", 1<<20, "size of the ring in bytes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	r, err := ring.New(*size)
	if err != nil {
		fatal(err)
	}
	h, err := r.Handle()
	if err != nil {
		fatal(err)
	}
	C.engine_start(C.uint64_t(h), C.uint32_t(*threads), C.uint64_t(*samples), C.uint64_t(pause.Microseconds()))
	next := make([]uint64, *threads) // the least number that may come
	received, wakes, wrong := 0, 0, 0
	read := func() {
		for s, err := range ring.Values[sample](r) {
			if err != nil || s.Number < next[s.Thread] || string(s.Text[:s.Length]) != fmt.Sprintf("sample %d", s.Number%1_000_000) {
				wrong++
				continue
			}
			next[s.Thread] = s.Number + 1
			received++
		}
	}
	look := time.NewTicker(10 * time.Millisecond) // whether the threads have ended
	defer look.Stop()
	for running := true; running && ctx.Err() == nil; {
		select {
		case <-r.C():
			wakes++
		case <-look.C:
			running = C.engine_running() > 0
		case <-ctx.Done():
		}
		read()
	}
	fmt.Printf("%d samples by %d threads: %d received in %d wake-ups, %d lost, %d refused, %d wrong\n",
		*threads**samples, *threads, received, wakes, r.Lost(), int(C.engine_refused()), wrong)
	// What Rust is told: a record that is too long, after Close, and for 0.
	long := C.engine_push(C.uint64_t(h), C.size_t(r.MaxRecord()+1))
	r.Close()
	fmt.Printf("push says %d for a long one, %d after Close, %d for ring 0\n", long, C.engine_push(C.uint64_t(h), 8), C.engine_push(0, 8))
	if err := readByRust(); err != nil {
		fatal(err)
	}
}

// readByRust has Rust read what Go writes: records of many lengths, round and round.
func readByRust() error {
	o, err := ring.NewOut(1 << 12)
	if err != nil {
		return err
	}
	h, err := o.Handle()
	if err != nil {
		return err
	}
	read := func(capacity int) ([]byte, int) {
		buf := make([]byte, 1<<11)
		n := int(C.engine_read(C.uint64_t(h), (*C.uchar)(&buf[0]), C.size_t(capacity)))
		return buf[:min(n, capacity)], n
	}
	wrong := 0
	const records = 10_000
	for i := range records {
		rec := bytes.Repeat([]byte{byte(i)}, 1+i%1000)
		if err := o.Write(rec); err != nil {
			return err
		}
		if got, n := read(1 << 11); !bytes.Equal(got, rec) || n != len(rec) {
			wrong++
		}
	}
	_, empty := read(8)
	if err := o.Write(make([]byte, 9)); err != nil {
		return err
	}
	_, short := read(8)
	_ = o.Close()
	_, closed := read(8)
	fmt.Printf("read %d records of an Out, %d wrong; it gives %d when there is none, %d for one that does not fit into 8, %d after Close\n",
		records, wrong, empty, short, closed)
	return nil
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "rustring:", err)
	os.Exit(1)
}
