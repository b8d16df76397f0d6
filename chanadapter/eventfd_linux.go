package chanadapter

// This file holds what EventFD asks of Linux (eventfd(2)): calls and errno, no policy.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func createEventFD(semaphore bool) (fd uintptr, err error) {
	flags := unix.EFD_CLOEXEC | unix.EFD_NONBLOCK
	if semaphore {
		flags |= unix.EFD_SEMAPHORE
	}
	n, err := unix.Eventfd(0, flags)
	return uintptr(n), deniedCall("eventfd2", err)
}

// duplicate returns a new descriptor of the same file. It is close-on-exec.
func duplicate(fd uintptr) (uintptr, error) {
	if fd > math.MaxInt32 { // of which the kernel would take the lower half
		return 0, &refusal{"it is negative or too large for a descriptor", unix.EBADF}
	}
	n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	return uintptr(n), os.NewSyscallError("fcntl", err)
}

// deniedCall says what the system answered to a call that it may not have. A sandbox
// answers EPERM or EACCES where an old kernel answers ENOSYS.
func deniedCall(name string, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("%w (%w)", os.NewSyscallError(name, err), errors.ErrUnsupported)
	default:
		return os.NewSyscallError(name, err)
	}
}

// examineEventFD returns an error if fd is no eventfd. If it is one, it tells whether
// others have left it blocking, and whether it is a semaphore. Only Linux 6.5 and later
// tell that.
func examineEventFD(fd uintptr) (blocking, semaphore bool, err error) {
	flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
	if err != nil {
		return false, false, os.NewSyscallError("fcntl", err)
	}
	const name = "anon_inode:[eventfd]"
	if link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && link != name {
		return false, false, &refusal{"it is no eventfd but " + link, unix.EINVAL}
	} else if err != nil { // without /proc it is known of most other files
		var stat unix.Stat_t
		if err := unix.Fstat(int(fd), &stat); err != nil {
			return false, false, os.NewSyscallError("fstat", err)
		}
		if stat.Mode&unix.S_IFMT != 0 {
			return false, false, &refusal{"it is no eventfd", unix.EINVAL}
		}
	}
	info, _ := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	return flags&unix.O_NONBLOCK == 0, strings.Contains(string(info), "\neventfd-semaphore: 1"), nil
}

// gate is an epoll set with one descriptor in it. The runtime waits for the set in
// place of a descriptor that is blocking, and stays so for its owner.
func gate(fd uintptr) (uintptr, error) {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, os.NewSyscallError("epoll_create1", err)
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
	if err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(set, unix.EPOLL_CTL_ADD, int(fd), &e)); err == nil {
		err = os.NewSyscallError("fcntl", unix.SetNonblock(set, true))
	}
	if err != nil {
		_ = unix.Close(set)
		return 0, err
	}
	return uintptr(set), nil
}

// pass takes the edge that a gate may have, so that the next one is seen.
func pass(gate uintptr) {
	var e [1]unix.EpollEvent
	// It does not block: see readCounter.
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, gate, uintptr(unsafe.Pointer(&e)), 1, 0, 0, 0)
}

func closeDescriptor(fd uintptr) { _ = unix.Close(int(fd)) }

// readCounter reads an eventfd without blocking; 0 means that there is nothing yet.
// It does not count on O_NONBLOCK, which everybody who has the descriptor may clear:
// preadv2 is told not to wait. Where that is missing, a look and then read(2) have to
// do. It is missing in Linux before 5.9 and in emulators. A sandbox may deny it, with
// any errno, or say 0 and do nothing.
//
// A call that cannot block need not tell the scheduler. That matters: the first
// such telling after an idle time wakes the runtime's monitoring thread, which
// makes a cold wake-up 10 microseconds slower and twice as dear.
func readCounter(fd uintptr, plain *sync.Mutex) (uint64, error) {
	var b [8]byte
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	for !noPreadv2.Load() {
		// An offset of -1 is the file's own; it takes two registers.
		n, _, errno := unix.RawSyscall6(preadv2, fd, uintptr(unsafe.Pointer(&iov)), 1, ^uintptr(0), ^uintptr(0), unix.RWF_NOWAIT)
		switch {
		case errno == 0 && n == uintptr(len(b)):
			return binary.NativeEndian.Uint64(b[:]), nil
		case errno == unix.EAGAIN:
			return 0, nil
		case errno == unix.EINTR:
		default:
			count, err := readPlainly(fd, plain)
			if err == nil {
				noPreadv2.Store(true) // others may find out at the same time
			}
			return count, err
		}
	}
	return readPlainly(fd, plain)
}

// readPlainly is readCounter by read(2). If the descriptor is blocking, and somebody
// else takes what was there in between, it blocks a thread until the next write; plain
// keeps those of this EventFD apart.
func readPlainly(fd uintptr, plain *sync.Mutex) (uint64, error) {
	plain.Lock()
	defer plain.Unlock()
	var b [8]byte
	for {
		if !readable(fd) {
			return 0, nil
		}
		n, _, errno := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch {
		case errno == 0 && n == uintptr(len(b)):
			return binary.NativeEndian.Uint64(b[:]), nil
		case errno == 0:
			return 0, os.NewSyscallError("read", syscall.EIO)
		case errno == unix.EAGAIN:
			return 0, nil
		case errno != unix.EINTR:
			return 0, os.NewSyscallError("read", errno)
		}
	}
}

var noPreadv2 atomic.Bool

// preadv2 is a variable for tests.
var preadv2 uintptr = unix.SYS_PREADV2

// readable reports whether a read would find something, or an error. If the system
// does not say, it may.
func readable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p[:], 0)
		if err != unix.EINTR {
			return n != 0
		}
	}
}
