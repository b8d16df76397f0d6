package testenv

// This file makes single system calls fail, whichever they are: the kernel asks
// another process about each that one thread makes (seccomp_unotify(2)).

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls makes system calls of its thread fail.
type Calls struct{ t testing.TB }

// The calls that no kernel has, by which a child tells its parent what to do.
const (
	controlBegin = 1<<20 + iota // n, number, errno
	controlEnd                  // returns what has failed: its number and 1; or 0
	anyCall                     // no call, but any number

	anywhere = 1 << 30 // a bit of a number: calls that package syscall does not make count too
)

// FailCalls runs test in a process of its own, and there on a thread whose system
// calls fail as c says. Other threads' do not. What the runtime calls for its own
// ends does not count, but for its netpoller's epoll_ctl.
func FailCalls(t *testing.T, test func(c *Calls)) {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		askParent(t, test)
		return
	}
	inChild(t, func(child *exec.Cmd) ([]byte, error) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		ours, theirs := os.NewFile(uintptr(pair[0]), "socketpair"), os.NewFile(uintptr(pair[1]), "socketpair")
		defer ours.Close()
		child.ExtraFiles = []*os.File{theirs}
		answered := make(chan error, 1)
		go func() { answered <- answer(ours) }()
		out, err := child.CombinedOutput()
		_ = theirs.Close() // which ends answer, if the child has not begun
		return out, errors.Join(err, <-answered)
	}, "GODEBUG=asyncpreemptoff=1") // a signal would make the kernel ask again
}

// askParent is FailCalls in the child.
func askParent(t *testing.T, test func(c *Calls)) {
	// Few things should be the runtime's own when LeavesNothing looks: it keeps threads.
	debug.SetGCPercent(-1)
	SpareThreads(16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // to the end: the thread ends with the goroutine
		const parent = 3       // the first of ExtraFiles
		if err := tell(parent); err != nil {
			Missing(t, "seccomp", err.Error())
		}
		_ = unix.Close(parent)
		test(&Calls{t})
	}()
	<-done
}

// SpareThreads makes the runtime have so many threads, which it keeps.
func SpareThreads(count int) {
	var all, there sync.WaitGroup
	there.Add(count)
	for range count {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			there.Done()
			there.Wait()
		})
	}
	all.Wait()
}

// tell makes the kernel ask about this thread's calls, and gives the descriptor by
// which it asks to the process behind socket.
func tell(socket int) error {
	sendmsg := uint32(unix.SYS_SENDMSG)
	if runtime.GOARCH == "386" || runtime.GOARCH == "s390x" {
		sendmsg = 102 // socketcall(2), by which x/sys does it there
	}
	// Nobody answers before sendmsg is over; the runtime may need the other two.
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: sendmsg, Jt: 3},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FUTEX, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_RT_SIGRETURN, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	message := make([]byte, unix.CmsgSpace(4)) // no memory is asked for in between
	copy(message, unix.UnixRights(0))
	number := (*int32)(unsafe.Pointer(&message[unix.CmsgLen(0)]))
	listener, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	*number = int32(listener)
	if err := unix.Sendmsg(socket, []byte{0}, message, nil, 0); err != nil {
		panic(err) // any other call would wait for ever
	}
	return unix.Close(int(listener))
}

// seccompNotif and seccompAnswer are struct seccomp_notif and seccomp_notif_resp of
// <linux/seccomp.h>.
type seccompNotif struct {
	id         uint64
	pid, flags uint32
	call       int32
	arch       uint32
	at         uint64
	args       [6]uint64
}

type seccompAnswer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// answer is the parent's half: it says what becomes of each call.
func answer(socket *os.File) error {
	conn, err := net.FileConn(socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	var data [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(data[:], rights)
	if errors.Is(err, io.EOF) || err == nil && n == 0 {
		return nil // it has ended, and says why
	} else if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return err
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	listener := fds[0]
	defer unix.Close(listener)
	var at uint64 // where package syscall calls the kernel
	var left, number, errno, failed uint64
	for {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			return nil // the thread has ended
		}
		var asked seccompNotif
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&asked)))
		if e == unix.ENOENT || e == unix.EINTR {
			continue // it was killed
		} else if e != 0 {
			return os.NewSyscallError("ioctl", e)
		}
		said := seccompAnswer{id: asked.id}
		switch {
		case asked.call == controlBegin:
			at, left, number, errno, failed = asked.at, asked.args[0], asked.args[1], asked.args[2], 0
		case asked.call == controlEnd:
			said.value = int64(failed)
			left = 0
		case left == 0 || number&anywhere == 0 && asked.at != at || cannotFail(asked.call) ||
			number != anyCall && number&^anywhere != uint64(asked.call):
			said.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		default:
			if left--; left != 0 {
				said.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
			} else {
				said.errno, failed = -int32(errno), uint64(asked.call)+1
			}
		}
		_, _, e = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&said)))
		if e != 0 && e != unix.ENOENT {
			return os.NewSyscallError("ioctl", e)
		}
	}
}

// cannotFail tells whether the call always does what it is for: Linux closes a
// descriptor whatever close returns.
func cannotFail(call int32) bool { return call == unix.SYS_CLOSE || call == unix.SYS_GETPID }

// Held describes what the process has of the system: the addresses in use, whatever
// for (proc(5): maps), and its descriptors. The runtime may take some at any time.
func Held(t testing.TB) (held []string) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	var first, last string
	for line := range strings.Lines(string(maps)) {
		addresses, _, _ := strings.Cut(line, " ")
		from, to, _ := strings.Cut(addresses, "-")
		if from != last { // else it goes on, perhaps with other rights
			held = append(held, first+"-"+last)
			first = from
		}
		last = to
	}
	held = append(held, first+"-"+last)
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		// The directory's own descriptor is gone by now.
		if file, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			held = append(held, entry.Name()+" "+file)
		}
	}
	return held
}

// LeavesNothing runs step, and fails the test if something is left of it. It runs
// step again in that case, since the runtime takes memory too: what step itself
// leaves it leaves each time.
func LeavesNothing(t testing.TB, what string, step func()) {
	t.Helper()
	var before, after []string
	for range 20 {
		before = Held(t)
		step()
		after = Held(t)
		if slices.Equal(before, after) {
			return
		}
	}
	t.Fatalf("%s left something behind:\nbefore\n%s\nafter\n%s", what, strings.Join(before, "\n"), strings.Join(after, "\n"))
}

// Fail runs scenario, whose nth system call, from 1, does nothing and returns errno.
// Fail returns that call's number, or -1 if there were not so many.
func (c *Calls) Fail(n int, errno syscall.Errno, scenario func()) (call int) {
	c.t.Helper()
	return c.FailIf(n, anyCall, errno, scenario)
}

// FailAnywhere is FailIf for calls that C code makes, or assembly.
func (c *Calls) FailAnywhere(n, number int, errno syscall.Errno, scenario func()) (call int) {
	c.t.Helper()
	return c.FailIf(n, number|anywhere, errno, scenario)
}

// FailIf is Fail, but only calls of this number count. With errno 0 the call returns
// 0, as if it had done something.
func (c *Calls) FailIf(n, number int, errno syscall.Errno, scenario func()) (call int) {
	c.t.Helper()
	if _, _, err := unix.RawSyscall(controlBegin, uintptr(n), uintptr(number), uintptr(errno)); err != 0 {
		c.t.Fatalf("nobody makes calls fail: %v", err)
	}
	scenario()
	failed, _, _ := unix.RawSyscall(controlEnd, 0, 0, 0)
	return int(failed) - 1
}
