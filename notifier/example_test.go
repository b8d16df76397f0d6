package notifier_test

// This file holds the examples of the package's documentation. The README shows
// the first one; a test compares the two.

import (
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

func Example() {
	n, err := notifier.New()
	if err != nil {
		log.Fatal(err)
	}
	defer n.Close()
	h, err := n.Handle() // a number that foreign code can hold
	if err != nil {
		log.Fatal(err)
	}

	// The threads of a C, C++, Rust or Zig library call notifier_notify(h). For Go
	// code that holds only the number h.Notify does the same, so a goroutine can
	// play the library here.
	var work atomic.Int64
	go func() {
		for range 5 {
			work.Add(1)
			h.Notify()
		}
	}()

	timeout := time.After(time.Minute)
	for done := int64(0); done < 5; {
		select {
		case <-n.C(): // one notification or many: do all there is
			done += work.Swap(0)
		case <-timeout:
			log.Fatal("no wake-up came")
		}
	}
	fmt.Println("5 pieces of work are done")
	// Output: 5 pieces of work are done
}
