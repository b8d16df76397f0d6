// Iouring has the kernel signal an EventFD whenever operations of an io_uring
// complete: a goroutine waits for it as for a socket, and no thread is blocked in
// io_uring_enter.
//
//	go run ./examples/iouring
//
// It submits 1,000,000 no-operations, and prints how many completed and how often
// the kernel signalled and the goroutine woke up for them.
package main

// This file starts it; what it shows is in main_linux.go.

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "iouring:", err)
		os.Exit(1)
	}
}
