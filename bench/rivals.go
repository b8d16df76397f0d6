package main

// This file holds the arrangements by which a foreign thread wakes a goroutine:
// this library's, and those that people build by hand. What is measured with
// them is in the scenario files.

import (
	"context"
	"os"
	"runtime"
	"runtime/cgo"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/notifier"
	"golang.org/x/sys/unix"
)

var processStart = time.Now()

// arrangement is a wired-up way from a foreign thread to a goroutine.
type arrangement struct {
	name   string
	way    way
	target uint64
	c      <-chan struct{}
	close  func()

	// wait, if not nil, is how to receive instead of from c.
	wait func(ctx context.Context) error
}

// receive waits for a wake-up, as users do: in a select with something that ends
// the loop. It reports false when ctx has ended.
func (a arrangement) receive(ctx context.Context) bool {
	if a.wait != nil {
		return a.wait(ctx) == nil
	}
	select {
	case <-a.c:
		return true
	case <-ctx.Done():
		return false
	}
}

// Names, as the report has them.
const (
	nameNotifier       = "notifier"
	nameNoLinger       = "notifier, WithLinger(0)"
	namePipeBackend    = "notifier, pipe backend"
	nameEventFD        = "chanadapter.EventFD, Wait"
	nameCallback       = "cgo callback + channel"
	nameCallbackHandle = "cgo callback + runtime/cgo.Handle + channel"
	nameFunction       = "notifier.Callback"
	nameBound          = "Notifier.Bind"
	namePurego         = "purego.NewCallback + channel"
	nameFile           = "eventfd + os.File + goroutine + channel"
	nameRead           = "eventfd + os.File, Read and no channel"
	namePipe           = "os.Pipe + goroutine + channel"
	nameThread         = "locked thread in epoll_wait + channel"
	nameEpoll          = "two C threads, eventfd + epoll"
	nameSpin           = "a C thread that spins and answers"
	nameLooking        = "a goroutine that looks at one word and sends"
	nameFutex          = "two C threads, futex"
)

func withNotifier(name string, opts ...notifier.PollerOption) arrangement {
	p := must1(notifier.NewPoller(opts...))
	n := must1(p.New())
	h := must1(n.Handle())
	return arrangement{name: name, way: wayNotifier, target: uint64(h), c: n.C(), close: func() { must(p.Close()) }}
}

// withEventFD is for producers that can write to an eventfd but not call
// notifier_notify.
func withEventFD() arrangement {
	e := must1(chanadapter.NewEventFD())
	return arrangement{name: nameEventFD, way: wayEventFD, target: uint64(e.FD()), wait: e.Wait, close: func() { must(e.Close()) }}
}

func withCallback() arrangement {
	c := make(chan struct{}, 1)
	callbackChannels = append(callbackChannels, c)
	return arrangement{name: nameCallback, way: wayCallback, target: uint64(len(callbackChannels) - 1), c: c, close: func() {}}
}

func withCallbackHandle() arrangement {
	c := make(chan struct{}, 1)
	h := cgo.NewHandle(c)
	return arrangement{name: nameCallbackHandle, way: wayCallbackHandle, target: uint64(h), c: c, close: h.Delete}
}

// withFunction is the header's function without the header.
func withFunction() arrangement {
	a := withNotifier(nameFunction)
	return a.through(must1(notifier.Callback(0)), a.target)
}

// withBound is for libraries that have no argument for us.
func withBound() arrangement {
	p := must1(notifier.NewPoller())
	n := must1(p.New())
	a := arrangement{name: nameBound, c: n.C(), close: func() { must(p.Close()) }}
	return a.through(must1(n.Bind()), 0)
}

// withPurego is a Go function as a C function without cgo; the program has cgo all the
// same.
func withPurego() arrangement {
	c := make(chan struct{}, 1)
	send := func(uintptr) uintptr {
		select {
		case c <- struct{}{}:
		default:
		}
		return 0
	}
	a := arrangement{name: namePurego, c: c, close: func() {}}
	function := purego.NewCallback(send)
	return a.through(*(*unsafe.Pointer)(unsafe.Pointer(&function)), 0)
}

// through makes a library's callback of the arrangement.
func (a arrangement) through(function unsafe.Pointer, argument uint64) arrangement {
	target, free := register(function, argument)
	before := a.close
	a.way, a.target = wayFunction, target
	a.close = func() {
		before()
		free()
	}
	return a
}

// withFile is the eventfd that people wrap by hand.
func withFile() arrangement {
	f := newEventFile()
	c := make(chan struct{}, 1)
	go forward(f, c)
	return arrangement{name: nameFile, way: wayEventFD, target: uint64(descriptor(f)), c: c, close: func() { must(f.Close()) }}
}

// withRead is the floor for whoever waits for an eventfd in the runtime's netpoller.
func withRead() arrangement {
	f := newEventFile()
	var b [8]byte
	read := func(context.Context) error {
		_, err := f.Read(b[:])
		return err
	}
	return arrangement{name: nameRead, way: wayEventFD, target: uint64(descriptor(f)), wait: read, close: func() { must(f.Close()) }}
}

func withPipe() arrangement {
	r, w := must2(os.Pipe())
	c := make(chan struct{}, 1)
	go forward(r, c)
	return arrangement{name: namePipe, way: wayPipe, target: uint64(descriptor(w)), c: c, close: func() { must(r.Close()); must(w.Close()) }}
}

func forward(f *os.File, c chan<- struct{}) {
	var b [512]byte
	for {
		if _, err := f.Read(b[:]); err != nil {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// withThread parks an OS thread in epoll_wait, one for each source.
func withThread() arrangement {
	fd, stop := newEventFD(unix.EFD_NONBLOCK), newEventFD(unix.EFD_NONBLOCK)
	ep := must1(unix.EpollCreate1(unix.EPOLL_CLOEXEC))
	for _, d := range []int{fd, stop} {
		must(unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, d, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(d)}))
	}
	c := make(chan struct{}, 1)
	exited := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(exited)
		var events [2]unix.EpollEvent
		var b [8]byte
		for {
			n, err := unix.EpollWait(ep, events[:], -1)
			if err == unix.EINTR {
				continue
			}
			must(err)
			for _, e := range events[:n] {
				if int(e.Fd) == stop {
					return
				}
			}
			_, _ = unix.Read(fd, b[:])
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return arrangement{name: nameThread, way: wayEventFD, target: uint64(fd), c: c, close: func() {
		must1(unix.Write(stop, eight))
		<-exited
		for _, d := range []int{ep, fd, stop} {
			must(unix.Close(d))
		}
	}}
}

var eight = []byte{1, 0, 0, 0, 0, 0, 0, 0}

func must2[T, U any](v T, w U, err error) (T, U) {
	must(err)
	return v, w
}
