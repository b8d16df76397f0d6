//go:build wasip1

// The guest: a goroutine selects on a notifier's channel and knows nothing of a
// host. The host starts it, and gets the handle by which it wakes it.
package main

import (
	"fmt"
	"os"

	"github.com/wakechan/wakechan/notifier"
	_ "github.com/wakechan/wakechan/notifier/wasmexport" // exports notifier_notify
)

func main() {} // not called: the host calls exports

var stop, stopped = make(chan struct{}), make(chan struct{})

//go:wasmexport start
func start() uint64 {
	n := notifier.New()
	h, err := n.Handle()
	if err != nil {
		fmt.Println("guest:", err)
		os.Exit(1)
	}
	go func() {
		defer close(stopped)
		defer n.Close()
		for wakes := 1; ; wakes++ {
			select {
			case <-n.C():
				fmt.Printf("guest:   wake-up %d\n", wakes)
			case <-stop:
				fmt.Println("guest:   closing")
				return
			}
		}
	}()
	return uint64(h)
}

//go:wasmexport finish
func finish() {
	close(stop)
	<-stopped
}
