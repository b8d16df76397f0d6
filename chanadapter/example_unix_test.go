//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package chanadapter_test

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/wakechan/wakechan/chanadapter"
)

// library stands for a C library with a descriptor. Like most, it takes one message
// each time that it is asked to, and leaves the rest for later.
type library struct {
	in, out  *os.File
	messages int
}

func open(messages string) *library {
	in, out, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	if _, err := out.WriteString(messages); err != nil {
		log.Fatal(err)
	}
	return &library{in: in, out: out}
}

func (l *library) descriptor() uintptr { return l.in.Fd() }

func (l *library) process() {
	one := make([]byte, 1)
	if n, _ := l.in.Read(one); n == 1 {
		l.messages++
	}
}

func (l *library) close() { _, _ = l.in.Close(), l.out.Close() }

// A library that may leave something unread wants OneShot: Rearm after each call of it.
func ExampleWatch() {
	lib := open("abc")
	defer lib.close()

	w, err := chanadapter.Watch(lib.descriptor(), chanadapter.OneShot())
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	for lib.messages < 3 {
		select {
		case <-w.C():
			lib.process() // the library's own call
			if err := w.Rearm(); err != nil {
				log.Fatal(err)
			}
		case <-time.After(time.Minute):
			log.Fatal("nothing came")
		}
	}
	fmt.Println(lib.messages, "messages")
	// Output: 3 messages
}

// A Watcher is a case of a select; Ready says what the descriptor is ready for.
func ExampleWatcher() {
	lib := open("")
	defer lib.close()

	w, err := chanadapter.Watch(lib.descriptor())
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close() // before the library closes its descriptor
	_ = lib.out.Close()
	select {
	case <-w.C():
		fmt.Println("hung up:", w.Ready().Has(chanadapter.EventHangUp))
	case <-time.After(time.Minute):
		log.Fatal("nothing came")
	}
	// Output: hung up: true
}

// Options say what to watch for, how often to tell, and whose Watcher it is.
func ExampleOption() {
	lib := open("a")
	defer lib.close()

	w, err := chanadapter.Watch(lib.descriptor(), chanadapter.Readable(), chanadapter.OneShot(), chanadapter.WithValue(lib))
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	<-w.C()
	w.Value().(*library).process()
	fmt.Println(lib.messages, "message")
	// Output: 1 message
}

// Events convert to and from the bits of poll(2), whose values differ between systems.
func ExampleEvents() {
	events := chanadapter.EventRead | chanadapter.EventHangUp
	fmt.Println(events)
	fmt.Println(events.Has(chanadapter.EventRead), events.Has(chanadapter.EventRead|chanadapter.EventWrite))
	fmt.Println(chanadapter.FromPoll(events.Poll()) == events)
	// Output:
	// read|hang-up
	// true false
	// true
}

// One channel for many descriptors. Ready yields those that became ready.
func ExampleGroup() {
	g := chanadapter.NewGroup()
	defer g.Close()
	for _, messages := range []string{"a", "bc"} {
		lib := open(messages)
		defer lib.close()
		_, err := chanadapter.Watch(lib.descriptor(), chanadapter.In(g), chanadapter.OneShot(), chanadapter.WithValue(lib))
		if err != nil {
			log.Fatal(err)
		}
	}

	for total := 0; total < 3; {
		select {
		case <-g.C():
			for w := range g.Ready() {
				w.Value().(*library).process()
				if err := w.Rearm(); err != nil {
					log.Fatal(err)
				}
				total++
			}
		case <-time.After(time.Minute):
			log.Fatal("nothing came")
		}
	}
	fmt.Println("all messages are processed")
	// Output: all messages are processed
}

// A library says which events of poll(2) it wants, and may want others later.
func ExampleWatcher_Change() {
	const pollIn = 1 // POLLIN
	lib := open("a")
	defer lib.close()

	w, err := chanadapter.Watch(lib.descriptor(), chanadapter.HangUp())
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	if err := w.Change(chanadapter.Interest(chanadapter.FromPoll(pollIn))); err != nil {
		log.Fatal(err)
	}
	<-w.C()
	fmt.Println(w.Ready().Poll() == pollIn)
	// Output: true
}
