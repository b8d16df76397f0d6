package main

// This file holds the arrangements by which a foreign thread wakes a goroutine:
// this library's, and those that people build by hand. What is measured with
// them is in the scenario files.

import (
	"os"
	"runtime"
	"runtime/cgo"
	"time"

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
}

// Names, as the report has them.
const (
	nameNotifier       = "notifier"
	nameNoLinger       = "notifier, WithLinger(0)"
	namePipeBackend    = "notifier, pipe backend"
	nameCallback       = "cgo callback + channel"
	nameCallbackHandle = "cgo callback + runtime/cgo.Handle + channel"
	nameFile           = "eventfd + os.File + goroutine + channel"
	namePipe           = "os.Pipe + goroutine + channel"
	nameThread         = "locked thread in epoll_wait + channel"
	nameEpoll          = "two C threads, eventfd + epoll"
	nameFutex          = "two C threads, futex"
)

func withNotifier(name string, opts ...notifier.PollerOption) arrangement {
	p := must1(notifier.NewPoller(opts...))
	n := must1(p.New())
	h := must1(n.Handle())
	return arrangement{name, wayNotifier, uint64(h), n.C(), func() { must(p.Close()) }}
}

func withCallback() arrangement {
	c := make(chan struct{}, 1)
	callbackChannels = append(callbackChannels, c)
	return arrangement{nameCallback, wayCallback, uint64(len(callbackChannels) - 1), c, func() {}}
}

func withCallbackHandle() arrangement {
	c := make(chan struct{}, 1)
	h := cgo.NewHandle(c)
	return arrangement{nameCallbackHandle, wayCallbackHandle, uint64(h), c, h.Delete}
}

// withFile is the eventfd that people wrap by hand.
func withFile() arrangement {
	f := newEventFile()
	c := make(chan struct{}, 1)
	go forward(f, c)
	return arrangement{nameFile, wayEventFD, uint64(descriptor(f)), c, func() { must(f.Close()) }}
}

func withPipe() arrangement {
	r, w := must2(os.Pipe())
	c := make(chan struct{}, 1)
	go forward(r, c)
	return arrangement{namePipe, wayPipe, uint64(descriptor(w)), c, func() { must(r.Close()); must(w.Close()) }}
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
	return arrangement{nameThread, wayEventFD, uint64(fd), c, func() {
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
