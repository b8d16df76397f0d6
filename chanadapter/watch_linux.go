package chanadapter

// This file holds Linux's multiplexer: an epoll set, which is itself a
// descriptor that the runtime's netpoller waits for. So the goroutine is parked,
// blocks no thread, and runs on the thread that found it ready. epoll_ctl is all
// that ever touches a watched descriptor (epoll(7), epoll_ctl(2)).

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	errBadDescriptor = unix.EBADF
	thing            = "descriptor"
)

type epollSet struct {
	fd   int
	file *os.File
	conn syscall.RawConn

	ended atomic.Bool // shut was called

	found  func(key uintptr, e Events)
	err    error
	events [128]unix.EpollEvent
	look   func(fd uintptr) bool
}

var _ multiplexer = (*epollSet)(nil)

func newMultiplexer() (multiplexer, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// NewFile gives a descriptor to the netpoller only if it is nonblocking.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	s := &epollSet{fd: fd, file: os.NewFile(uintptr(fd), "chanadapter-epoll")}
	s.look = s.harvest
	// A file that the netpoller did not take has no deadlines.
	if err = s.file.SetReadDeadline(time.Time{}); err == nil {
		s.conn, err = s.file.SyscallConn()
	}
	if err != nil {
		_ = s.file.Close()
		return nil, fmt.Errorf("the runtime cannot wait for an epoll set: %w", err)
	}
	return s, nil
}

func (s *epollSet) add(fd uintptr, key uintptr, i interest) error {
	if fd > math.MaxInt32 {
		return &refusal{"it is negative or too large for a descriptor", unix.EBADF}
	}
	if int(fd) == s.fd { // so it was free a moment ago
		return &refusal{"it is not open", unix.EBADF}
	}
	switch err := s.control(unix.EPOLL_CTL_ADD, fd, key, i); err {
	case nil:
		return nil
	case unix.EEXIST:
		return errRegistered
	case unix.EBADF:
		return &refusal{"it is not open", err}
	case unix.EPERM:
		return &refusal{"epoll cannot wait for it, since it is always ready (a regular file or directory?)", err}
	case unix.EINVAL, unix.ELOOP:
		return &refusal{"it is an epoll set that would wait for itself, or one file is watched through 500 descriptors", err}
	case unix.ENOSPC:
		return &refusal{"the limit /proc/sys/fs/epoll/max_user_watches was reached", err}
	default:
		return os.NewSyscallError("epoll_ctl", err)
	}
}

func (s *epollSet) modify(fd uintptr, key uintptr, i interest) error {
	switch err := s.control(unix.EPOLL_CTL_MOD, fd, key, i); err {
	case nil:
		return nil
	case unix.ENOENT, unix.EBADF, unix.EPERM:
		return errGone // or the number is another file's
	default:
		return os.NewSyscallError("epoll_ctl", err)
	}
}

// remove's errors say that the registration is not there, or that its descriptor
// was closed: then it lives on with a duplicate, if there is one, under a key
// that nobody answers to. The kernel has no way to remove that.
func (s *epollSet) remove(fd uintptr, _ uintptr) {
	_ = unix.EpollCtl(s.fd, unix.EPOLL_CTL_DEL, int(fd), nil)
}

// abandon has nothing to free.
func (s *epollSet) abandon(uintptr) {}

func (s *epollSet) control(op int, fd uintptr, key uintptr, i interest) error {
	var e unix.EpollEvent
	e.Fd, e.Pad = int32(key), int32(uint64(key)>>32) // the 64 bits of user data
	if i.level {
		e.Events = unix.EPOLLONESHOT
	} else {
		e.Events = unix.EPOLLET
	}
	for _, m := range epollMasks {
		if i.events&m.event != 0 {
			e.Events |= m.asked
		}
	}
	return unix.EpollCtl(s.fd, op, int(fd), &e)
}

// EPOLLHUP and EPOLLERR come without being asked for, EPOLLRDHUP does not.
var epollMasks = []struct {
	event        Events
	asked, found uint32
}{
	{EventRead, unix.EPOLLIN | unix.EPOLLRDHUP, unix.EPOLLIN},
	{EventWrite, unix.EPOLLOUT, unix.EPOLLOUT},
	{EventPriority, unix.EPOLLPRI, unix.EPOLLPRI},
	{EventHangUp, 0, unix.EPOLLHUP | unix.EPOLLRDHUP},
	{EventError, 0, unix.EPOLLERR},
}

func (s *epollSet) wait(found func(key uintptr, e Events)) error {
	s.found = found
	for {
		err := s.file.SetReadDeadline(time.Now().Add(watchInterval))
		if err == nil {
			err = s.conn.Read(s.look)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// An error of epoll_pwait tells if the descriptor is another's.
			err = s.conn.Control(func(fd uintptr) { s.harvest(fd) })
		}
		switch {
		case s.ended.Load(): // conn.Read's own error for that is not exported
			return nil
		case err != nil:
			return err
		case s.err != nil:
			return s.err
		}
	}
}

// harvest is called back before each sleep and at each edge. It returns false to
// sleep: only when epoll_pwait had less than it could return, so that whatever
// becomes ready later is a new edge of the epoll set itself.
func (s *epollSet) harvest(uintptr) bool {
	for {
		// It does not block, so the scheduler is not told: see readCounter.
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.events)), uintptr(len(s.events)), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			s.err = os.NewSyscallError("epoll_pwait", errno)
			return true
		}
		for i := range s.events[:n] {
			e := &s.events[i]
			var ready Events
			for _, m := range epollMasks {
				if e.Events&m.found != 0 {
					ready |= m.event
				}
			}
			s.found(uintptr(uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32), ready)
		}
		if int(n) < len(s.events) {
			return false
		}
	}
}

func (s *epollSet) shut() {
	s.ended.Store(true)
	_ = s.file.Close()
}

// abandoned keeps files whose number may be another's from being closed by the
// garbage collector. Sets can break at the same time: one is still about to end
// its Watchers when the next has been made.
var abandoned sync.Map

func (s *epollSet) free(broken bool) {
	if broken {
		abandoned.Store(s.file, nil)
	}
}
