package chanadapter_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
)

// The kernel or another process adds to the counter; a goroutine waits for it.
func ExampleNewEventFD() {
	e, err := chanadapter.NewEventFD()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	// A producer has e.FD(): io_uring, KVM, or, as here, write(2).
	for range 3 {
		_, _ = unix.Write(int(e.FD()), binary.NativeEndian.AppendUint64(nil, 1))
	}
	if err := e.Wait(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Value(), "events in one wake-up")
	// Output: 3 events in one wake-up
}

// An eventfd is a case of a select. Value says what was written since.
func ExampleEventFD() {
	e, err := chanadapter.NewEventFD()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	go func() { // the producer: io_uring, KVM, or, as here, write(2)
		_, _ = unix.Write(int(e.FD()), binary.NativeEndian.AppendUint64(nil, 7))
	}()

	select {
	case <-e.C():
		fmt.Println("received", e.Value())
	case <-time.After(time.Minute):
		fmt.Println("nothing came")
	}
	// Output: received 7
}

// With Semaphore each Wait takes one permit, and leaves the others.
func ExampleEventFDOption() {
	e, err := chanadapter.NewEventFD(chanadapter.Semaphore())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	_, _ = unix.Write(int(e.FD()), binary.NativeEndian.AppendUint64(nil, 2))

	for i := range 2 {
		if err := e.Wait(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("permit", i+1)
	}
	// Output:
	// permit 1
	// permit 2
}

// Somebody else made the eventfd, and goes on to own its descriptor.
func ExampleOpenEventFD() {
	theirs, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unix.Close(theirs)

	e, err := chanadapter.OpenEventFD(uintptr(theirs))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close() // which closes a duplicate

	_, _ = unix.Write(theirs, binary.NativeEndian.AppendUint64(nil, 5))
	select {
	case <-e.C():
		fmt.Println("received", e.Value())
	case <-time.After(time.Minute):
		fmt.Println("nothing came")
	}
	// Output: received 5
}

// A timer that counts while the machine is suspended, which a time.Timer does not.
func ExampleNewTimer() {
	t, err := chanadapter.NewTimer(chanadapter.Boottime)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	if err := t.Every(time.Millisecond); err != nil {
		fmt.Println(err)
		return
	}

	for total := uint64(0); total < 10; {
		<-t.C()
		n, err := t.Expired() // more than 1 if this goroutine was late
		if err != nil {
			fmt.Println(err)
			return
		}
		total += n
	}
	fmt.Println("at least 10 ms have passed")
	// Output: at least 10 ms have passed
}

// A deadline that a suspended machine does not put off.
func ExampleTimer() {
	t, err := chanadapter.NewTimer(chanadapter.Boottime)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	if err := t.After(time.Millisecond); err != nil {
		fmt.Println(err)
		return
	}

	select {
	case <-t.C():
		fmt.Println("expired")
	case <-time.After(time.Minute):
		fmt.Println("nothing came")
	}
	// Output: expired
}

// Realtime is for a time of day: such a Timer follows the wall clock, and tells if
// somebody sets it.
func ExampleClock() {
	t, err := chanadapter.NewTimer(chanadapter.Realtime)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	when := time.Now().Add(time.Millisecond)
	if err := t.At(when); err != nil {
		fmt.Println(err)
		return
	}

	for time.Now().Round(0).Before(when.Round(0)) { // the wall clock's reading
		<-t.C()
		if _, err := t.Expired(); errors.Is(err, chanadapter.ErrClockSet) {
			continue // look at the wall clock again; t is still set
		}
	}
	fmt.Println("it is time")
	// Output: it is time
}

// The end of a process is a case of a select.
func ExampleProcess() {
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		fmt.Println(err)
		return
	}
	ended, err := chanadapter.Process(child.Process.Pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ended.Close()

	select {
	case <-ended.C():
		fmt.Println("it has ended:", child.Wait()) // Wait does not block any more
	case <-time.After(time.Minute):
		fmt.Println("it runs still")
	}
	// Output: it has ended: <nil>
}
