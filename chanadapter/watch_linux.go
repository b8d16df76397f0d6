package chanadapter

// This file holds Linux's multiplexers: epoll sets (epoll(7)). epoll_ctl is all
// that ever touches a watched descriptor, apart from a poll(2) of those that forget.
//
// There are two ways to wait for a set. One is that the set is itself a descriptor
// which the runtime's netpoller waits for: the goroutine is parked and blocks no
// thread. But then the runtime polls what is in the set (ep_item_poll) to learn
// whether the set is ready, and again to report it. A file that forgets what it
// had to say when it is polled, as a perf event does, would have nothing to say when
// it matters; and one whose poll blocks, as a FUSE file's may, would block the
// scheduler. So only what is known to be harmless is watched in that way. Everything
// else is in sets that nobody else polls, each of whose goroutine blocks a thread;
// one set for each kind of file, so that a slow one holds up only its like.
//
// The own set of a group is in a second one, the gate, and only that is the runtime's.
// The set is one-shot there. So nothing that happens in it wakes a thread from the
// moment that the goroutine has put the token until the receiver has collected.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/identity"
)

const (
	errBadDescriptor = unix.EBADF
	thing            = "descriptor"
	pollHalfClosed   = unix.POLLRDHUP
)

// nested is the set of what the runtime may poll.
const nested = ""

func kindOf(fd uintptr) (kind, error) {
	if fd > math.MaxInt32 {
		return kind{}, &refusal{"it is negative or too large for a descriptor", unix.EBADF}
	}
	var status unix.Stat_t
	err := unix.Fstat(int(fd), &status)
	if err == unix.EBADF {
		return kind{}, &refusal{"it is not open", err}
	}
	if err != nil {
		return kind{set: "unknown"}, nil
	}
	shared := kind{set: nested, collects: true}
	switch status.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return shared, nil
	case unix.S_IFSOCK:
		// The rest of the forty families is rare, and RDS's poll forgets.
		switch domain, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); domain {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_PACKET:
			return shared, nil
		}
		return kind{set: "socket"}, nil
	case unix.S_IFCHR:
		// Rdev has 32 bits on mips.
		return kind{set: fmt.Sprintf("character device %d", unix.Major(uint64(status.Rdev)))}, nil
	}
	name := nameOfFile(fd)
	switch name {
	case "anon_inode:[eventfd]", "anon_inode:[timerfd]", "anon_inode:[signalfd]", "anon_inode:[pidfd]", "anon_inode:inotify":
		return shared, nil
	case "anon_inode:[perf_event]":
		return kind{set: name, forgets: true}, nil
	}
	switch {
	case strings.HasPrefix(name, "pidfd:"):
		return shared, nil
	case strings.HasPrefix(name, "anon_inode:"):
		return kind{set: name}, nil
	}
	k := kind{set: fmt.Sprintf("file system %#x", status.Dev)}
	var system unix.Statfs_t
	if unix.Fstatfs(int(fd), &system) == nil {
		switch system.Type {
		case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC:
			k.forgets = true // mountinfo, sysctls, PSI triggers
		}
	}
	return k, nil
}

// nameOfFile returns what /proc has for fd, or "".
func nameOfFile(fd uintptr) string {
	var b [64]byte
	// The thread's, since it may have a table of descriptors of its own.
	n, err := unix.Readlink("/proc/thread-self/fd/"+strconv.Itoa(int(fd)), b[:])
	if err != nil {
		return ""
	}
	return string(b[:n])
}

type epollSet struct {
	kind kind
	epollFiles
	ended atomic.Bool // shut was called

	// mu is held while the files are replaced by renew, and while shut uses them.
	mu sync.Mutex

	found  func(key uintptr, e Events) bool
	leave  bool // wait is to return
	err    error
	events [128]unix.EpollEvent
	look   func(fd uintptr) bool

	collected []unix.EpollEvent // as events, for collect
}

// epollFiles are the set, the one to wait for, and an eventfd that is registered in both
// under key 0. By that they are known: no other epoll set has it. It also wakes wait.
type epollFiles struct {
	fd, bell int
	gate     int            // has fd, if fd is a group's own set; else it is fd
	own      *identity.File // what bell was at first

	// looking is held while has looks, by two threads perhaps: what one puts into a
	// stranger's set for a moment would be ours to the other.
	looking *sync.Mutex

	file *os.File // of gate, if the netpoller waits for it
	conn syscall.RawConn
}

var _ collector = (*epollSet)(nil)

func newMultiplexer(k kind) (multiplexer, error) {
	files, err := makeEpollFiles(k)
	if err != nil {
		return nil, err
	}
	s := &epollSet{kind: k, epollFiles: files}
	s.look = s.harvest
	if k.group != nil {
		s.collected = make([]unix.EpollEvent, len(s.events))
	}
	return s, nil
}

func makeEpollFiles(k kind) (f epollFiles, err error) {
	f.looking = new(sync.Mutex)
	if f.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return f, os.NewSyscallError("epoll_create1", err)
	}
	if f.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(f.fd)
		return f, os.NewSyscallError("eventfd2", err)
	}
	defer func() {
		if err == nil {
			return
		}
		_ = unix.Close(f.bell)
		if f.gate != f.fd {
			_ = unix.Close(f.fd)
		}
		if f.file != nil {
			_ = f.file.Close()
		} else {
			_ = unix.Close(f.gate)
		}
	}()
	f.gate = f.fd
	if f.own, err = identity.Note(f.bell); err != nil {
		return f, err
	}
	if k.group != nil {
		if f.gate, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return f, os.NewSyscallError("epoll_create1", err)
		}
		if err = unix.EpollCtl(f.fd, unix.EPOLL_CTL_ADD, f.bell, &unix.EpollEvent{Events: unix.EPOLLET}); err != nil {
			return f, os.NewSyscallError("epoll_ctl", err)
		}
		if err = f.open(unix.EPOLL_CTL_ADD); err != nil {
			return f, err
		}
	}
	if err = unix.EpollCtl(f.gate, unix.EPOLL_CTL_ADD, f.bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}); err != nil {
		return f, os.NewSyscallError("epoll_ctl", err)
	}
	if k.set != nested {
		return f, nil
	}
	// NewFile gives a descriptor to the netpoller only if it is nonblocking.
	if err = unix.SetNonblock(f.gate, true); err != nil {
		return f, os.NewSyscallError("fcntl", err)
	}
	f.file = os.NewFile(uintptr(f.gate), "chanadapter-epoll")
	// A file that the netpoller did not take has no deadlines.
	if err = f.file.SetReadDeadline(time.Time{}); err == nil {
		f.conn, err = f.file.SyscallConn()
	}
	if err != nil {
		return f, fmt.Errorf("the runtime cannot wait for an epoll set: %w", err)
	}
	return f, nil
}

// open has the gate tell, once, that something is ready in the set. op is
// EPOLL_CTL_ADD at first and then EPOLL_CTL_MOD.
func (f epollFiles) open(op int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: setInGate}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(f.gate, op, f.fd, &e))
}

const setInGate = 1 // the bell has 0

func isSet(e unix.EpollEvent) bool { return e.Fd == setInGate }

// free gives the files back if they are ours still.
func (f epollFiles) free() {
	set, gate, bell := f.has(f.fd), f.has(f.gate), f.own.Check() == nil
	if set && f.gate != f.fd {
		_ = unix.Close(f.fd)
	}
	switch {
	case f.file == nil && gate:
		_ = unix.Close(f.gate)
	case gate:
		_ = f.file.Close()
	case f.file != nil:
		abandoned.Store(f.file, nil)
	}
	if bell {
		_ = unix.Close(f.bell)
	}
}

// abandoned keeps files whose number is another's from being closed by the
// garbage collector.
var abandoned sync.Map

// intact reports whether the files are what they were.
func (f epollFiles) intact() bool {
	return f.has(f.fd) && (f.gate == f.fd || f.has(f.gate))
}

// has reports whether set, which is fd or gate, and bell are what they were: bell has its
// mark, and registering one in the other is refused. The second alone would also be so if
// both were a stranger's, who made them one after the other as we did. (The gate could be
// asked for fd, but then the kernel would go through all that is in fd.)
func (f epollFiles) has(set int) bool {
	f.looking.Lock()
	defer f.looking.Unlock()
	if !f.own.Marked() {
		return false
	}
	var e unix.EpollEvent
	err := f.control(set, unix.EPOLL_CTL_ADD, f.bell, &e)
	if err == nil { // into a stranger's set
		_ = f.control(set, unix.EPOLL_CTL_DEL, f.bell, &e)
	}
	return err == unix.EEXIST
}

// control is epoll_ctl. If the runtime must not poll the set, a file's poll may block,
// and with it every call for the set: the scheduler must know.
func (f epollFiles) control(set, op, fd int, e *unix.EpollEvent) error {
	if f.file != nil {
		return unix.EpollCtl(set, op, fd, e)
	}
	_, _, errno := unix.Syscall6(unix.SYS_EPOLL_CTL, uintptr(set), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (s *epollSet) add(fd, key uintptr, i wish) (Events, error) {
	if !s.intact() {
		return 0, errBroken
	}
	if int(fd) == s.fd || int(fd) == s.gate || int(fd) == s.bell { // so it was free a moment ago
		return 0, &refusal{"it is not open", unix.EBADF}
	}
	switch err := s.control(unix.EPOLL_CTL_ADD, fd, key, i); err {
	case nil:
		if s.kind.forgets {
			// epoll has polled it, so what it had to say is forgotten.
			return i.events &^ EventHangUp, nil
		}
		return 0, nil
	case unix.EEXIST:
		return 0, errRegistered
	default:
		return 0, refusalOf(fd, err)
	}
}

// refusalOf says in words why epoll did not take fd.
func refusalOf(fd uintptr, err error) error {
	switch err {
	case unix.EBADF:
		if flags, ferr := unix.FcntlInt(fd, unix.F_GETFL, 0); ferr == nil && flags&unix.O_PATH != 0 {
			return &refusal{"it was opened with O_PATH, so it names a file but cannot be read, written or waited for", err}
		}
		return &refusal{"it is not open", err}
	case unix.EPERM:
		what := "file"
		var status unix.Stat_t
		if unix.Fstat(int(fd), &status) == nil {
			switch status.Mode & unix.S_IFMT {
			case unix.S_IFREG:
				what = "regular file"
			case unix.S_IFDIR:
				what = "directory"
			case unix.S_IFCHR:
				what = "device without poll(2), such as /dev/null,"
			}
		}
		return &refusal{"epoll cannot wait for it, since a " + what + " is always ready", err}
	case unix.EINVAL, unix.ELOOP:
		if nameOfFile(fd) == "anon_inode:[eventpoll]" {
			return &refusal{"it is an epoll set that would wait for itself, or has more than four in each other", err}
		}
		return &refusal{"one file is watched through 500 descriptors or epoll sets", err}
	case unix.ENOSPC:
		return &refusal{"the limit /proc/sys/fs/epoll/max_user_watches was reached", err}
	default:
		return os.NewSyscallError("epoll_ctl", err)
	}
}

func (s *epollSet) modify(fd, key uintptr, i wish) (Events, error) {
	if s.kind.forgets {
		return s.poll(fd, key)
	}
	switch err := s.control(unix.EPOLL_CTL_MOD, fd, key, i); err {
	case nil:
		return 0, nil
	case unix.ENOENT, unix.EBADF, unix.EPERM, unix.EINVAL:
		if !s.intact() {
			return 0, errBroken
		}
		return 0, errGone // or the number is another file's
	default:
		return 0, os.NewSyscallError("epoll_ctl", err)
	}
}

// poll looks at a descriptor that forgets. EPOLL_CTL_MOD would look for what wait does
// not find any more.
func (s *epollSet) poll(fd, key uintptr) (ready Events, err error) {
	if !s.registered(fd, key) {
		if !s.intact() {
			return 0, errBroken
		}
		return 0, errGone
	}
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT | unix.POLLPRI | unix.POLLRDHUP}}
	for {
		switch _, err := unix.Poll(p, 0); err {
		case nil:
			return FromPoll(p[0].Revents), nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("poll", err)
		}
	}
}

// remove's errors say that the registration is not there, or that its descriptor
// was closed: then it lives on with a duplicate, if there is one, under a key
// that nobody answers to. The kernel has no way to remove that.
func (s *epollSet) remove(fd, _ uintptr) (orphan bool) {
	return s.intact() && s.control(unix.EPOLL_CTL_DEL, fd, 0, wish{}) != nil
}

// abandon has nothing to free.
func (s *epollSet) abandon(uintptr) (orphan bool) { return true }

// registered does not look at the file if it is. If it is not it registers and removes
// whatever the number names by now.
func (s *epollSet) registered(fd, key uintptr) bool {
	if !s.intact() {
		return false
	}
	err := s.control(unix.EPOLL_CTL_ADD, fd, key, wish{})
	if err == nil {
		_ = s.control(unix.EPOLL_CTL_DEL, fd, key, wish{})
	}
	return err == unix.EEXIST
}

func (s *epollSet) control(op int, fd, key uintptr, i wish) error {
	var e unix.EpollEvent
	e.Fd, e.Pad = int32(key), int32(uint64(key)>>32) // the 64 bits of user data
	switch {
	case s.kind.forgets: // what one-shot holds back would be forgotten
		e.Events = unix.EPOLLET
		i.events, i.hangUp = EventRead|EventWrite|EventPriority, true
	case i.oneShot:
		e.Events = unix.EPOLLONESHOT
	default:
		e.Events = unix.EPOLLET
	}
	for _, m := range epollMasks {
		if i.events&m.event != 0 {
			e.Events |= m.asked
		}
	}
	if i.hangUp {
		e.Events |= unix.EPOLLRDHUP
	}
	return s.epollFiles.control(s.fd, op, int(fd), &e)
}

// EPOLLHUP and EPOLLERR come without being asked for, EPOLLRDHUP does not.
var epollMasks = []struct {
	event        Events
	asked, found uint32
}{
	{EventRead, unix.EPOLLIN, unix.EPOLLIN},
	{EventWrite, unix.EPOLLOUT, unix.EPOLLOUT},
	{EventPriority, unix.EPOLLPRI, unix.EPOLLPRI},
	{EventHangUp, 0, unix.EPOLLHUP | unix.EPOLLRDHUP},
	{EventError, 0, unix.EPOLLERR},
}

func (s *epollSet) renew() error {
	files, err := makeEpollFiles(s.kind)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.epollFiles
	s.epollFiles = files
	s.mu.Unlock()
	before.free()
	return nil
}

func (s *epollSet) wait(found func(key uintptr, e Events) (goOn bool)) error {
	s.found, s.leave = found, false
	for !s.leave && !s.ended.Load() {
		var err error
		if s.kind.set == nested {
			err = s.park()
		} else {
			err = s.block()
		}
		if s.err != nil {
			return s.err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// park waits until harvest returns true, or for watchInterval.
func (s *epollSet) park() error {
	if !s.has(s.fd) { // harvest looks after the gate
		return errBroken
	}
	err := s.file.SetReadDeadline(time.Now().Add(watchInterval))
	if err == nil {
		err = s.conn.Read(s.look)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// harvest is called back before each sleep and at each edge. It returns false to
// sleep: only when epoll_pwait had less than it could return, so that whatever
// becomes ready later is a new edge of the epoll set itself.
func (s *epollSet) harvest(uintptr) bool {
	for {
		if !s.has(s.gate) { // before anything is taken out of it
			s.err = errBroken
			return true
		}
		n, err := takeReady(s.gate, s.events[:])
		if err != nil {
			s.err = err
			return true
		}
		if s.ended.Load() {
			return true
		}
		if s.gate == s.fd {
			s.leave = !dispatch(s.events[:n], s.found)
		} else if slices.ContainsFunc(s.events[:n], isSet) {
			s.leave = !s.found(0, 0)
		}
		if s.leave {
			return true
		}
		if n < len(s.events) {
			return false
		}
	}
}

// takeReady is epoll_pwait that does not block, so the scheduler is not told: see
// readCounter.
func takeReady(set int, events []unix.EpollEvent) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(set),
			uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("epoll_pwait", errno)
		}
	}
}

// collect opens the gate last. That tells of what became ready meanwhile, and of the rest
// if so much comes all the time that there is no end.
func (s *epollSet) collect(found func(key uintptr, e Events) (goOn bool)) error {
	for range 100 {
		if !s.has(s.fd) { // before anything is taken out of it
			return errBroken
		}
		n, err := takeReady(s.fd, s.collected)
		if err != nil {
			return err
		}
		if _ = dispatch(s.collected[:n], found); n < len(s.collected) {
			break
		}
	}
	return s.open(unix.EPOLL_CTL_MOD)
}

// block waits for watchInterval at most, in a system call.
func (s *epollSet) block() error {
	if !s.intact() {
		return errBroken
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd),
		uintptr(unsafe.Pointer(&s.events)), uintptr(len(s.events)), uintptr(watchInterval.Milliseconds()), 0, 0)
	if errno == unix.EINTR {
		return nil
	}
	if errno != 0 {
		return os.NewSyscallError("epoll_pwait", errno)
	}
	s.leave = !dispatch(s.events[:n], s.found)
	if n != 0 {
		// The receivers are in this P's queue, which the next call would keep from
		// them until the scheduler takes the P away.
		runtime.Gosched()
	}
	return nil
}

// dispatch returns false if found did.
func dispatch(events []unix.EpollEvent, found func(key uintptr, e Events) (goOn bool)) (goOn bool) {
	goOn = true
	for i := range events {
		e := &events[i]
		key := uintptr(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		if key == 0 {
			continue // the bell
		}
		var ready Events
		for _, m := range epollMasks {
			if e.Events&m.found != 0 {
				ready |= m.event
			}
		}
		goOn = found(key, ready) && goOn
	}
	return goOn
}

func (s *epollSet) shut() {
	s.ended.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.intact() {
		return // and wait sees it at the latest after watchInterval
	}
	_, _ = unix.Write(s.bell, binary.NativeEndian.AppendUint64(nil, 1))
}

func (s *epollSet) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epollFiles.free()
	s.fd, s.gate, s.bell = -1, -1, -1 // shut may come late
}
