package ring_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"time"

	"github.com/wakechan/wakechan/ring"
)

// A goroutine plays the foreign thread, which would call notifier_ring_push.
func Example() {
	r, err := ring.New(1 << 16)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	go func() {
		for i := range uint32(1000) {
			if err := r.Push(binary.NativeEndian.AppendUint32(nil, i)); err != nil {
				log.Print(err) // full: counted in Lost
			}
		}
	}()

	sum, n := 0, 0
	for n < 1000 {
		if err := r.Wait(context.Background()); err != nil {
			log.Fatal(err)
		}
		for rec := range r.Records() {
			sum += int(binary.NativeEndian.Uint32(rec))
			n++
		}
	}
	fmt.Println(n, "records, sum", sum, "lost", r.Lost())
	// Output: 1000 records, sum 499500 lost 0
}

// A select loop that ends when the producer has finished and all has been read.
func ExampleRing() {
	r, err := ring.New(1 << 12)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	go func() {
		for _, word := range []string{"one", "two", "three"} {
			if err := r.Push([]byte(word)); err != nil {
				log.Print(err)
			}
		}
		_ = r.Finish()
	}()

	for {
		select {
		case <-r.C(): // one record or several
			for rec := range r.Records() {
				fmt.Printf("%s\n", rec)
			}
		case <-r.Done():
			fmt.Println(r.Err())
			return
		}
	}
	// Output:
	// one
	// two
	// three
	// EOF
}

// Code that holds only the number can push, and a late call does no harm.
func ExampleHandle() {
	r, err := ring.New(1 << 12)
	if err != nil {
		log.Fatal(err)
	}
	h, err := r.Handle() // what C gets, as a uint64_t or by h.Pointer() as a void *
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Ring().Push([]byte("in time")))
	_ = r.Close()
	fmt.Println(h.Ring().Push([]byte("late")))
	// Output:
	// <nil>
	// ring: closed
}

// The options of New: here the reader does not spin, and hears after 10 ms of a producer
// that has reserved a record and does not commit it.
func ExampleOption() {
	r, err := ring.New(1<<12, ring.WithLinger(0), ring.WithStallTime(10*time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	rec, err := r.Reserve(8)
	if err != nil {
		log.Fatal(err)
	}

	for r.Stalled() == 0 {
		if err := r.Wait(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(r.Stalled() >= 10*time.Millisecond)
	_ = r.Discard(rec)
	// Output: true
}

func ExampleValues() {
	type sample struct { // struct sample { uint32_t channel; float level; };
		Channel uint32
		Level   float32
	}
	r, err := ring.New(1 << 12)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	rec, err := r.Reserve(8)
	if err != nil {
		log.Fatal(err)
	}
	binary.NativeEndian.PutUint32(rec, 3)
	binary.NativeEndian.PutUint32(rec[4:], 0x3f000000) // 0.5
	if err := r.Commit(rec); err != nil {
		log.Fatal(err)
	}
	for s, err := range ring.Values[sample](r) {
		fmt.Println(s.Channel, s.Level, err)
	}
	// Output: 3 0.5 <nil>
}

// A goroutine plays the library: with Chan the records are values of a channel.
func ExampleChan() {
	r, err := ring.New(1 << 12)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	values := ring.Chan[uint32](ctx, r, 16)
	for i := range uint32(3) {
		if err := r.Push(binary.NativeEndian.AppendUint32(nil, i)); err != nil {
			log.Fatal(err)
		}
	}

	for range 3 {
		fmt.Println(<-values)
	}
	_ = r.Close()
	_, open := <-values
	fmt.Println(open, r.Err())
	// Output:
	// 0
	// 1
	// 2
	// false ring: closed
}
