//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package chanadapter

// This file holds the multiplexer of the systems with kqueue, in which the
// goroutine blocks a thread. A registration there is a filter for reading, one
// for writing, or both; the system removes them when the descriptor is closed,
// even if a duplicate lives on (kqueue(2)).

import (
	"errors"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	errBadDescriptor = unix.EBADF
	thing            = "descriptor"
)

type kqueueSet struct {
	fd     int
	quit   [2]int // a pipe, whose reading end is in the queue under key 0
	events []unix.Kevent_t
	ended  atomic.Bool // shut was called

	// keys has the key that was last registered for a descriptor: see add.
	keys map[uintptr]uintptr
}

var _ multiplexer = (*kqueueSet)(nil)

func newMultiplexer() (multiplexer, error) {
	s := &kqueueSet{events: newEvents(128), keys: map[uintptr]uintptr{}}
	// There is no flag for close-on-exec everywhere, so no fork may come between.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var err error
	if s.fd, err = unix.Kqueue(); err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(s.fd)
	if err := unix.Pipe(s.quit[:]); err != nil {
		_ = unix.Close(s.fd)
		return nil, os.NewSyscallError("pipe", err)
	}
	unix.CloseOnExec(s.quit[0])
	unix.CloseOnExec(s.quit[1])
	if err := s.change(s.quit[0], 0, unix.EVFILT_READ, unix.EV_ADD); err != nil {
		s.free(false)
		return nil, os.NewSyscallError("kevent", err)
	}
	return s, nil
}

// newEvents makes room for events in memory that the garbage collector does not
// look into: our keys are numbers, where most systems declare a pointer.
func newEvents(n int) []unix.Kevent_t {
	size := unsafe.Sizeof(unix.Kevent_t{})
	words := make([]uint64, (uintptr(n)*size+7)/8)
	return unsafe.Slice((*unix.Kevent_t)(unsafe.Pointer(&words[0])), n)
}

func keyOf(e *unix.Kevent_t) *uintptr { return (*uintptr)(unsafe.Pointer(&e.Udata)) }

// filters are what stands for each event that can be asked for.
var filters = []struct {
	event  Events
	filter int
}{
	{EventRead, unix.EVFILT_READ},
	{EventWrite, unix.EVFILT_WRITE},
}

func (s *kqueueSet) add(fd uintptr, key uintptr, i interest) error {
	if i.events&EventPriority != 0 {
		return &refusal{"this system does not tell of exceptional data", errors.ErrUnsupported}
	}
	if fd > math.MaxInt32 {
		return &refusal{"it is negative or too large for a descriptor", unix.EBADF}
	}
	if n := int(fd); n == s.fd || n == s.quit[0] || n == s.quit[1] { // so it was free a moment ago
		return &refusal{"it is not open", unix.EBADF}
	}
	// EV_ADD changes a registration that is there. EV_ENABLE does not make one;
	// at worst there is a token for nothing. But most systems take over the key of
	// whatever change, so it must be the one that the registration has.
	if registered, ok := s.keys[fd]; ok {
		for _, f := range filters {
			if s.change(int(fd), registered, f.filter, unix.EV_ENABLE) == nil {
				return errRegistered
			}
		}
	}
	flags := unix.EV_ADD | unix.EV_CLEAR
	if i.level {
		flags = unix.EV_ADD | evDispatch
	}
	for _, f := range filters {
		if i.events&f.event == 0 {
			continue
		}
		switch err := s.change(int(fd), key, f.filter, flags); err {
		case nil:
		case unix.EBADF:
			return &refusal{"it is not open", err}
		default:
			s.remove(fd, key) // of two filters the one that is there
			return &refusal{"kqueue cannot wait for it", os.NewSyscallError("kevent", err)}
		}
	}
	s.keys[fd] = key
	return nil
}

// modify disables and enables: enabling what is enabled does not look anew on
// every system. It never makes a registration, so it cannot touch another file's.
func (s *kqueueSet) modify(fd uintptr, key uintptr, i interest) error {
	s.keys[fd] = key
	for _, f := range filters {
		if i.events&f.event == 0 {
			continue
		}
		for _, flags := range []int{unix.EV_DISABLE, unix.EV_ENABLE} {
			switch err := s.change(int(fd), key, f.filter, flags); err {
			case nil:
			case unix.ENOENT, unix.EBADF:
				return errGone // or the number is another file's
			default:
				return os.NewSyscallError("kevent", err)
			}
		}
	}
	return nil
}

// remove's errors say that the filter is not there.
func (s *kqueueSet) remove(fd uintptr, key uintptr) {
	delete(s.keys, fd)
	for _, f := range filters {
		_ = s.change(int(fd), key, f.filter, unix.EV_DELETE)
	}
}

// abandon has nothing to free.
func (s *kqueueSet) abandon(uintptr) {}

func (s *kqueueSet) change(fd int, key uintptr, filter, flags int) error {
	e := newEvents(1)
	unix.SetKevent(&e[0], fd, filter, flags)
	*keyOf(&e[0]) = key
	for {
		if _, err := unix.Kevent(s.fd, e, nil, nil); err != unix.EINTR {
			return err
		}
	}
}

func (s *kqueueSet) wait(found func(key uintptr, e Events)) error {
	for {
		timeout := unix.NsecToTimespec(int64(watchInterval))
		n, err := unix.Kevent(s.fd, nil, s.events, &timeout)
		switch {
		case s.ended.Load():
			return nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return os.NewSyscallError("kevent", err) // the descriptor is another's
		}
		for i := range s.events[:n] {
			e := &s.events[i]
			var ready Events
			for _, f := range filters {
				if int(e.Filter) == f.filter {
					ready = f.event
				}
			}
			if e.Flags&unix.EV_EOF != 0 {
				ready |= EventHangUp
				if e.Fflags != 0 { // the socket's error
					ready |= EventError
				}
			}
			if e.Flags&unix.EV_ERROR != 0 {
				ready |= EventError
			}
			found(*keyOf(e), ready)
		}
	}
}

func (s *kqueueSet) shut() {
	s.ended.Store(true)
	for {
		if _, err := unix.Write(s.quit[1], []byte{0}); err != unix.EINTR {
			return
		}
	}
}

func (s *kqueueSet) free(broken bool) {
	if !broken {
		_ = unix.Close(s.fd)
	}
	_ = unix.Close(s.quit[0])
	_ = unix.Close(s.quit[1])
}
