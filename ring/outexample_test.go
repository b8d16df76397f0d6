package ring_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/wakechan/wakechan/ring"
)

// Blocks of audio for a thread that must not wait. Its callback would call
//
//	n = notifier_out_read(out, block, sizeof block);
//
// and play silence if that gives 0.
func ExampleOut() {
	const frames = 64
	o, err := ring.NewOut(1 << 12)
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	h, err := o.Handle()
	if err != nil {
		log.Fatal(err)
	}
	_ = h // C.start_audio(C.uint64_t(h))

	block := make([]byte, frames*4)
	for err == nil { // until the thread has enough for now
		err = o.Write(block)
	}
	fmt.Println("full:", errors.Is(err, ring.ErrFull))
	// Output: full: true
}

// A goroutine that has nothing else to do waits for room.
func ExampleOut_WriteWait() {
	o, err := ring.NewOut(1 << 12)
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range 3 {
		if err := o.WriteWait(ctx, fmt.Append(nil, "command ", i)); err != nil {
			log.Fatal(err)
		}
	}
	cancel()
	fmt.Println(o.WriteWait(ctx, []byte("command 3"))) // there is room at once
	fmt.Println(o.Len(), "bytes are in use")
	// Output:
	// <nil>
	// 96 bytes are in use
}
