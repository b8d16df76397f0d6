package chanadapter_test

import (
	"fmt"
	"log"
	"time"

	"golang.org/x/sys/windows"

	"github.com/wakechan/wakechan/chanadapter"
)

// An event of Windows is a case of a select. It is an auto-reset event, whose signal
// the Watcher takes.
func ExampleWatch_handle() {
	event, err := windows.CreateEvent(nil, 0, 0, nil)
	if err != nil {
		log.Fatal(err)
	}
	w, err := chanadapter.Watch(uintptr(event))
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	_ = windows.SetEvent(event) // a driver or a library does this
	select {
	case <-w.C():
		fmt.Println("signalled")
	case <-time.After(time.Minute):
		log.Fatal("nothing came")
	}
	// Output: signalled
}
