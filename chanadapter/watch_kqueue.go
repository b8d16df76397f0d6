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
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/identity"
)

const (
	errBadDescriptor = unix.EBADF
	thing            = "descriptor"
	pollHalfClosed   = 0 // there is no such bit
)

func kindOf(uintptr) (kind, error) { return kind{}, nil }

type kqueueSet struct {
	fd     int
	quit   [2]int            // a pipe, whose reading end is in the queue under key 0
	files  [2]*identity.File // what quit's numbers were at first
	events []unix.Kevent_t
	ended  atomic.Bool // shut was called

	mu    sync.Mutex // held by shut and free
	freed bool

	entries map[uintptr]kqueueEntry // by descriptor: what was last registered
}

var _ multiplexer = (*kqueueSet)(nil)

func newMultiplexer(kind) (multiplexer, error) {
	s := &kqueueSet{events: newEvents(128), entries: map[uintptr]kqueueEntry{}}
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
	for i, fd := range s.quit {
		unix.CloseOnExec(fd)
		if s.files[i], err = identity.Note(fd); err != nil {
			s.free()
			return nil, err
		}
	}
	if err := s.change(s.quit[0], 0, change{unix.EVFILT_READ, unix.EV_ADD}); err != nil {
		s.free()
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

// filtersOf returns the events whose filters an interest needs. That the other side
// has closed for writing is told by that for reading only, and that it does not read
// any more by that for writing.
func filtersOf(i wish) Events {
	e := i.events & (EventRead | EventWrite)
	if i.events&EventHangUp != 0 {
		e |= EventRead | EventWrite
	}
	if i.hangUp {
		e |= EventRead
	}
	return e
}

// kqueueEntry is what is registered for a descriptor.
type kqueueEntry struct {
	key     uintptr
	filters Events
}

func (s *kqueueSet) add(fd, key uintptr, i wish) (Events, error) {
	if i.events&EventPriority != 0 {
		return 0, errNoPriority
	}
	if fd > math.MaxInt32 {
		return 0, &refusal{"it is negative or too large for a descriptor", unix.EBADF}
	}
	if !s.intact() {
		return 0, errBroken
	}
	if n := int(fd); n == s.fd || n == s.quit[0] || n == s.quit[1] { // so it was free a moment ago
		return 0, &refusal{"it is not open", unix.EBADF}
	}
	if s.registered(fd, 0) {
		return 0, errRegistered
	}
	e := kqueueEntry{key: key}
	for _, f := range filters {
		if filtersOf(i)&f.event == 0 {
			continue
		}
		switch err := s.change(int(fd), key, change{f.filter, unix.EV_ADD | unix.EV_CLEAR}); {
		case err == nil:
			e.filters |= f.event
		case err == unix.EBADF:
			return 0, &refusal{"it is not open", err}
		case i.events&f.event != 0:
			s.entries[fd] = e
			s.remove(fd, key) // of two filters the one that is there
			return 0, &refusal{"kqueue cannot wait for it", os.NewSyscallError("kevent", err)}
		}
	}
	s.entries[fd] = e
	return 0, nil
}

var errNoPriority error = &refusal{"this system does not tell of exceptional data", errors.ErrUnsupported}

// registered reports whether one of the filters is there. The system removes all when
// the number's file is closed. EV_ENABLE does not make one; at worst there is a token
// for nothing. But most systems take over the key of whatever change, so it must be
// the one that the registration has.
func (s *kqueueSet) registered(fd, _ uintptr) bool {
	e := s.entries[fd]
	for _, f := range filters {
		if e.filters&f.event != 0 && s.change(int(fd), e.key, change{f.filter, unix.EV_ENABLE}) == nil {
			return true
		}
	}
	return false
}

// modify disables and enables what is registered: enabling what is enabled does not
// look anew on every system. It makes a new filter only after that, since the kernel
// stops at the first change that fails: so it cannot touch another file's number.
func (s *kqueueSet) modify(fd, key uintptr, i wish) (Events, error) {
	if i.events&EventPriority != 0 {
		return 0, errNoPriority
	}
	e := s.entries[fd]
	want := filtersOf(i)
	var all [6]change
	changes := all[:0]
	for _, f := range filters {
		if e.filters&f.event != 0 {
			changes = append(changes, change{f.filter, unix.EV_DISABLE})
			if want&f.event != 0 {
				changes = append(changes, change{f.filter, unix.EV_ENABLE})
			}
		}
	}
	for _, f := range filters {
		if want&f.event != 0 && e.filters&f.event == 0 {
			changes = append(changes, change{f.filter, unix.EV_ADD | unix.EV_CLEAR})
		}
	}
	switch err := s.change(int(fd), key, changes...); err {
	case nil:
		s.entries[fd] = kqueueEntry{key, e.filters | want}
		return 0, nil
	case unix.ENOENT, unix.EBADF:
		if !s.intact() {
			return 0, errBroken
		}
		return 0, errGone // or the number is another file's
	default:
		return 0, os.NewSyscallError("kevent", err)
	}
}

// remove's errors say that the filter is not there.
func (s *kqueueSet) remove(fd, key uintptr) (orphan bool) {
	e := s.entries[fd]
	delete(s.entries, fd)
	for _, f := range filters {
		if e.filters&f.event != 0 && s.intact() {
			_ = s.change(int(fd), key, change{f.filter, unix.EV_DELETE})
		}
	}
	return false
}

// abandon has nothing to free.
func (s *kqueueSet) abandon(uintptr) (orphan bool) { return false }

// renew is never called: the system leaves no orphans.
func (s *kqueueSet) renew() error { return errors.ErrUnsupported }

// change is one of what kevent changes.
type change struct{ filter, flags int }

func (s *kqueueSet) change(fd int, key uintptr, changes ...change) error {
	e := newEvents(len(changes))
	for i, c := range changes {
		unix.SetKevent(&e[i], fd, c.filter, c.flags)
		*keyOf(&e[i]) = key
	}
	for {
		if _, err := unix.Kevent(s.fd, e, nil, nil); err != unix.EINTR {
			return err
		}
	}
}

// intact reports whether fd and quit are what they were: no other queue has quit. A
// stranger's has what is at quit's number, perhaps, if that is a stranger's too.
func (s *kqueueSet) intact() bool {
	return s.files[0] != nil && s.files[0].Check() == nil &&
		s.change(s.quit[0], 0, change{unix.EVFILT_READ, unix.EV_ENABLE}) == nil
}

func (s *kqueueSet) wait(found func(key uintptr, e Events) (goOn bool)) error {
	for {
		if s.ended.Load() {
			return nil
		}
		if !s.intact() { // before anything is taken out of it
			return errBroken
		}
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
			key := *keyOf(&s.events[i])
			if key == 0 {
				continue // quit, or told already
			}
			// Reading and writing of one descriptor are one token: a OneShot
			// Watcher gets no second one, and may be ready for the first for ever.
			var ready Events
			for j := i; j < n; j++ {
				if e := &s.events[j]; *keyOf(e) == key {
					ready |= eventsOf(e)
					*keyOf(e) = 0
				}
			}
			_ = found(key, ready) // there are no orphans to stop for
		}
	}
}

func eventsOf(e *unix.Kevent_t) (ready Events) {
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
	return ready
}

func (s *kqueueSet) shut() {
	s.ended.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.freed || !s.intact() || s.files[1].Check() != nil {
		return // and wait sees it at the latest after watchInterval
	}
	for {
		if _, err := unix.Write(s.quit[1], []byte{0}); err != unix.EINTR {
			return
		}
	}
}

func (s *kqueueSet) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freed = true
	if s.intact() {
		_ = unix.Close(s.fd)
	}
	for i, f := range s.files {
		if f != nil && f.Check() == nil { // else it is another's
			_ = unix.Close(s.quit[i])
		}
	}
}
