package notifier_test

// This file holds the examples of the package's documentation. Those of C functions
// are in example_callback_test.go; a whole program with cgo is examples/hello.

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/notifier"
)

func Example() {
	n := notifier.New()
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

// Wait takes a token without a select, and makes plain memory visible.
func ExampleNotifier_Wait() {
	n := notifier.New()
	defer n.Close()
	var result string // plain memory
	go func() {
		result = "done"
		_ = n.Notify()
	}()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Wait(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(result)
	// Output: done
}

// A loop that ends with its context, or with the notifier.
func ExampleNotifier_Wakes() {
	n := notifier.New()
	_ = n.Notify() // kept until the loop begins
	for range n.Wakes(context.Background()) {
		fmt.Println("woken")
		_ = n.Close()
	}
	fmt.Println(n.Err())
	// Output:
	// woken
	// notifier: closed
}

// A handle is a number, which Go code can notify too. It stays harmless.
func ExampleHandle_Notify() {
	n := notifier.New()
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(h.Notify())
	<-n.C()
	_ = n.Close()
	fmt.Println(h.Notify())
	// Output:
	// <nil>
	// notifier: closed
}

// Stats counts what became of one notifier's notifications.
func ExampleStats() {
	n := notifier.New()
	defer n.Close()
	_ = n.Notify()
	_ = n.Notify() // a token is there: this changes nothing, and is not counted
	<-n.C()
	fmt.Println(n.Stats().Delivered, "token")
	// Output: 1 token
}

// A poller of one's own: here one that never spins, for a program with a CPU quota.
func ExampleNewPoller() {
	p, err := notifier.NewPoller(notifier.WithLinger(0))
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close() // closes its notifiers too

	n, err := p.New()
	if err != nil {
		log.Fatal(err)
	}
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}
	_ = h.Notify()
	<-n.C()
	fmt.Println(p.Stats().Handles, "handle")
	// Output: 1 handle
}

// Many notifiers that end at once.
func ExamplePoller() {
	p, err := notifier.NewPoller()
	if err != nil {
		log.Fatal(err)
	}
	a, errA := p.New()
	b, errB := p.New()
	if err := errors.Join(errA, errB); err != nil {
		log.Fatal(err)
	}
	_ = p.Close()
	<-a.Done()
	<-b.Done()
	fmt.Println(a.Err())
	// Output: notifier: closed
}

// The options of NewPoller choose the doorbell and how long the poller spins.
func ExamplePollerOption() {
	backends := notifier.Backends() // the default is the first
	last := backends[len(backends)-1]
	p, err := notifier.NewPoller(notifier.WithBackend(last), notifier.WithLinger(0))
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Stats().Backend == last)
	// Output: true
}

// PollerStats says what a poller has and what it did: print it if no token comes.
func ExamplePollerStats() {
	p, err := notifier.NewPoller()
	if err != nil {
		log.Fatal(err)
	}
	n, err := p.New()
	if err != nil {
		log.Fatal(err)
	}
	h, err := n.Handle()
	if err != nil {
		log.Fatal(err)
	}
	_ = h.Notify()
	<-n.C()
	fmt.Println(p.Stats().Handles, "handle")
	_ = p.Close() // its goroutine has ended: the counts are final
	fmt.Println(p.Stats().Delivered, "token")
	// Output:
	// 1 handle
	// 1 token
}
