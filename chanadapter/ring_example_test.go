package chanadapter_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/wakechan/wakechan/chanadapter"
)

// A goroutine plays the foreign thread, which would call notifier_ring_push.
func ExampleNewRing() {
	r, err := chanadapter.NewRing(1 << 16)
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

func ExampleValues() {
	type sample struct { // struct sample { uint32_t channel; float level; };
		Channel uint32
		Level   float32
	}
	r, err := chanadapter.NewRing(1 << 12)
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
	for s, err := range chanadapter.Values[sample](r) {
		fmt.Println(s.Channel, s.Level, err)
	}
	// Output: 3 0.5 <nil>
}
