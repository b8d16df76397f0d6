package chanadapter

// This file holds the tests of what the runtime must not poll: files that forget an
// event when they are polled, and files whose poll blocks.

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// pageFaults is a perf event that counts a thread's page faults, and tells of each.
type pageFaults struct {
	fd   int
	page *unix.PerfEventMmapPage
}

func newPageFaults(t *testing.T) pageFaults {
	t.Helper()
	runtime.LockOSThread() // whose faults they are
	t.Cleanup(runtime.UnlockOSThread)
	a := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_PAGE_FAULTS, Sample: 1,
		Sample_type: unix.PERF_SAMPLE_IP, Wakeup: 1, Bits: unix.PerfBitDisabled}
	a.Size = uint32(unsafe.Sizeof(a))
	fd, err := unix.PerfEventOpen(&a, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		testenv.Missing(t, "perf_event", err.Error())
	}
	own(t, fd)
	m, err := unix.Mmap(fd, 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Munmap(m) })
	return pageFaults{fd, (*unix.PerfEventMmapPage)(unsafe.Pointer(&m[0]))}
}

// cause makes one.
func (p pageFaults) cause(t *testing.T) {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetInt(p.fd, unix.PERF_EVENT_IOC_ENABLE, 0))
	b[0] = 1
	require.NoError(t, unix.IoctlSetInt(p.fd, unix.PERF_EVENT_IOC_DISABLE, 0))
	require.NoError(t, unix.Munmap(b))
}

// drain reports whether there was something.
func (p pageFaults) drain() bool {
	head := atomic.LoadUint64(&p.page.Data_head)
	return atomic.SwapUint64(&p.page.Data_tail, head) != head
}

// TestPerfEvent: each event is announced, though a perf event forgets it when it is
// polled; also one that came before Watch, and before Rearm.
func TestPerfEvent(t *testing.T) {
	for name, opts := range map[string][]Option{"edge": nil, "one-shot": {OneShot()}} {
		t.Run(name, func(t *testing.T) {
			faults := newPageFaults(t)
			once := opts != nil
			faults.cause(t)
			n := mustWatch(t, faults.fd, opts...)
			require.NotEqual(t, "", n.reg.set.kind.set, "the runtime polls it")
			receive(t, n.C())
			require.True(t, n.Ready().Has(EventRead))
			require.True(t, faults.drain())
			if once {
				require.NoError(t, n.Rearm())
			}
			for range 20 {
				faults.cause(t)
				receive(t, n.C())
				assert.Equal(t, EventRead, n.Ready())
				require.True(t, faults.drain())
				if once {
					faults.cause(t) // while it is not armed
					require.NoError(t, n.Rearm())
					receive(t, n.C())
					require.True(t, faults.drain())
					require.NoError(t, n.Rearm())
				}
			}
			none(t, n.C())
			// More Watchers of the same event, and another interest, take nothing away.
			second := mustWatch(t, faults.fd)
			receive(t, second.C())
			faults.cause(t)
			receive(t, second.C())
			receive(t, n.C())
			require.True(t, faults.drain())
			require.NoError(t, second.Close())
			require.NoError(t, n.Change(Priority()))
			require.NoError(t, n.Change(Readable()))
			faults.cause(t)
			receive(t, n.C())
		})
	}
	t.Run("many, in a group", func(t *testing.T) {
		g := mustGroup(t)
		all := make([]pageFaults, 8)
		for i := range all {
			all[i] = newPageFaults(t)
			mustWatch(t, all[i].fd, In(g), WithValue(i))
		}
		for range g.Ready() { // each is announced at first
		}
		for range 20 {
			want := map[int]bool{}
			for i, f := range all {
				want[i] = true
				f.cause(t)
			}
			for len(want) != 0 {
				receive(t, g.C())
				for w := range g.Ready() {
					i := w.Value().(int)
					if all[i].drain() {
						delete(want, i)
					}
				}
			}
		}
	})
}

// TestSysctlIsSet: /proc/sys/kernel/hostname forgets too (proc_sys_poll).
func TestSysctlIsSet(t *testing.T) {
	fd, err := unix.Open("/proc/sys/kernel/hostname", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	own(t, fd)
	name, err := os.Hostname()
	require.NoError(t, err)
	if err := unix.Sethostname([]byte(name)); err != nil { // the same again
		testenv.Missing(t, "sethostname", err.Error())
	}
	n := mustWatch(t, fd, Priority())
	receive(t, n.C())
	for range 20 {
		require.NoError(t, unix.Sethostname([]byte(name)))
		receive(t, n.C())
		assert.True(t, n.Ready().Has(EventPriority))
	}
	none(t, n.C())
}

// mounts returns the mountinfo of a thread with mounts of its own, and a function that
// changes them.
func mounts(t *testing.T) (fd int, change func() error) {
	t.Helper()
	dir := t.TempDir()
	type opened struct {
		fd  int
		err error
	}
	began, turns, answers := make(chan opened), make(chan struct{}), make(chan error)
	go func() {
		runtime.LockOSThread() // and it ends with this goroutine
		defer close(answers)
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") // nobody else sees what follows
		}
		fd := -1
		if err == nil {
			fd, err = unix.Open("/proc/thread-self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		began <- opened{fd, err}
		mounted := false
		for range turns {
			if mounted = !mounted; mounted {
				answers <- unix.Mount("wakechan", dir, "tmpfs", 0, "")
			} else {
				answers <- unix.Unmount(dir, 0)
			}
		}
	}()
	t.Cleanup(func() {
		close(turns)
		for range answers {
		}
	})
	o := <-began
	if o.err != nil {
		testenv.Missing(t, "mounts", o.err.Error())
	}
	own(t, o.fd)
	return o.fd, func() error {
		turns <- struct{}{}
		return <-answers
	}
}

// TestMountinfoChanges: so does mountinfo (mounts_poll).
func TestMountinfoChanges(t *testing.T) {
	fd, change := mounts(t)
	if err := change(); err != nil {
		testenv.Missing(t, "mounts", err.Error())
	}
	n := mustWatch(t, fd, Priority())
	receive(t, n.C())
	for range 21 { // and so it ends without a mount
		require.NoError(t, change())
		receive(t, n.C())
		assert.True(t, n.Ready().Has(EventPriority))
	}
	none(t, n.C())
}

// crowd has two threads want one processor all the time, until the test ends. Each has a P,
// or the runtime would let one run at a time.
func crowd(t *testing.T) {
	t.Helper()
	usual := runtime.GOMAXPROCS(4)
	var allowed, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &allowed))
	for cpu := 0; one.Count() == 0; cpu++ {
		if allowed.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	var stop atomic.Bool
	var threads sync.WaitGroup
	for range 2 {
		threads.Go(func() {
			runtime.LockOSThread() // and it ends with this goroutine
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				t.Error(err)
			}
			for !stop.Load() {
			}
		})
	}
	t.Cleanup(func() {
		stop.Store(true)
		threads.Wait()
		runtime.GOMAXPROCS(usual)
	})
}

// TestPressureStall: so does a trigger of pressure (psi_trigger_poll). It tells at most
// once in its time of 2 s, which is the least that is allowed to everybody.
func TestPressureStall(t *testing.T) {
	fd, err := unix.Open("/proc/pressure/cpu", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		own(t, fd)
		_, err = unix.Write(fd, []byte("some 1000 2000000\x00")) // 1 ms of waiting
	}
	if err != nil {
		testenv.Missing(t, "psi", err.Error())
	}
	n := mustWatch(t, fd, Priority())
	receive(t, n.C())
	crowd(t)
	for range 2 {
		receive(t, n.C())
		assert.True(t, n.Ready().Has(EventPriority))
	}
}

// TestAThreadOnlyForThese: a watch of what is harmless has no set that blocks a thread,
// and that of others goes with the last Watcher.
func TestAThreadOnlyForThese(t *testing.T) {
	r, _ := pipe(t)
	mustWatch(t, r)
	mustWatch(t, eventfd(t))
	a, _ := socketpair(t)
	mustWatch(t, a)
	inotify, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require.NoError(t, err)
	own(t, inotify)
	mustWatch(t, inotify)
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	require.NoError(t, err)
	own(t, self)
	mustWatch(t, self)
	sets := func() int {
		process.mu.Lock()
		defer process.mu.Unlock()
		return len(process.sets)
	}
	require.Equal(t, 1, sets())
	terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	own(t, terminal)
	n := mustWatch(t, terminal, Writable())
	receive(t, n.C())
	require.Equal(t, 2, sets())
	require.NoError(t, n.Close())
	require.Equal(t, 1, sets())
}

// slowPoll is a FUSE file system (fuse(4)) with one file, whose poll takes until
// release is closed.
type slowPoll struct {
	polled  chan struct{} // one for each poll that has begun
	release chan struct{}
}

func newSlowPoll(t *testing.T) (fd int, s slowPoll) {
	t.Helper()
	if os.Getenv("WAKECHAN_EMULATOR") != "" {
		testenv.Missing(t, "fuse", "an emulator does not translate what the kernel says in FUSE")
	}
	s = slowPoll{make(chan struct{}, 100), make(chan struct{})}
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		testenv.Missing(t, "fuse", err.Error())
	}
	dir := t.TempDir()
	options := "fd=" + strconv.Itoa(device) + ",rootmode=40000,user_id=0,group_id=0"
	if err := unix.Mount("wakechan", dir, "fuse", unix.MS_NODEV|unix.MS_NOSUID, options); err != nil {
		_ = unix.Close(device)
		testenv.Missing(t, "fuse", err.Error())
	}
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(device) })
	t.Cleanup(func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH) // and the server's read gives ENODEV
		serving.Wait()
		_ = unix.Close(device)
	})
	fd, err = unix.Open(filepath.Join(dir, "file"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd, s
}

func (s slowPoll) serve(device int) {
	native := binary.NativeEndian
	request := make([]byte, 1<<17)
	var answering sync.WaitGroup
	defer answering.Wait()
	for {
		n, err := unix.Read(device, request)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil || n < 40 {
			return
		}
		opcode, unique := native.Uint32(request[4:]), native.Uint64(request[8:])
		answer := func(body []byte) {
			b := native.AppendUint32(nil, uint32(16+len(body)))
			b = native.AppendUint32(b, 0)
			b = append(native.AppendUint64(b, unique), body...)
			_, _ = unix.Write(device, b)
		}
		attributes := func(mode uint32) []byte {
			b := make([]byte, 88)
			native.PutUint64(b, 2)         // ino
			native.PutUint32(b[60:], mode) // mode
			native.PutUint32(b[64:], 1)    // nlink
			return b
		}
		switch opcode {
		case 26: // INIT
			b := make([]byte, 64)
			native.PutUint32(b, 7)
			native.PutUint32(b[4:], 31)
			native.PutUint32(b[20:], 4096) // max_write
			answer(b)
		case 1: // LOOKUP
			b := make([]byte, 40)
			native.PutUint64(b, 2)      // nodeid
			native.PutUint64(b[16:], 1) // seconds that it is valid
			native.PutUint64(b[24:], 1)
			answer(append(b, attributes(unix.S_IFREG|0o444)...))
		case 3: // GETATTR
			mode := uint32(unix.S_IFREG | 0o444)
			if native.Uint64(request[16:]) == 1 {
				mode = unix.S_IFDIR | 0o755
			}
			answer(append(make([]byte, 16), attributes(mode)...))
		case 14: // OPEN
			b := make([]byte, 16)
			native.PutUint32(b[8:], 1) // FOPEN_DIRECT_IO
			answer(b)
		case 40: // POLL
			s.polled <- struct{}{}
			answering.Go(func() {
				<-s.release
				b := make([]byte, 8)
				native.PutUint32(b, unix.POLLIN)
				answer(b)
			})
		case 2, 36: // FORGET, INTERRUPT: without an answer
		default:
			b := native.AppendUint32(nil, 16)
			enosys := -int32(unix.ENOSYS)
			b = native.AppendUint32(b, uint32(enosys))
			_, _ = unix.Write(device, native.AppendUint64(b, unique))
		}
	}
}

// TestASlowPollHoldsUpNobody: while the poll of one descriptor blocks, Watch, Close,
// Rearm and the events of others go on, and so does the garbage collector.
func TestASlowPollHoldsUpNobody(t *testing.T) {
	fd, slow := newSlowPoll(t)
	released := sync.OnceFunc(func() { close(slow.release) })
	defer released()
	r, w := pipe(t)
	before := mustWatch(t, r)
	watched := make(chan *Watcher)
	go func() {
		n, err := Watch(uintptr(fd), OneShot())
		if err != nil {
			t.Error(err)
		}
		watched <- n
	}()
	receive(t, slow.polled) // epoll_ctl is in it
	for range 3 {
		other, otherEnd := pipe(t)
		n := mustWatch(t, other)
		for range 10 {
			put(t, otherEnd, "x")
			receive(t, n.C())
			drain(other)
			put(t, w, "x")
			receive(t, before.C())
			require.NoError(t, before.Rearm())
			receive(t, before.C())
			drain(r)
			runtime.GC()
		}
		require.NoError(t, n.Close())
		terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		device := mustWatch(t, terminal, Writable()) // another kind that has a thread
		receive(t, device.C())
		require.NoError(t, device.Close())
		require.NoError(t, unix.Close(terminal))
	}
	select {
	case <-watched:
		t.Fatal("the poll did not block")
	default:
	}
	released()
	n := <-watched
	require.NotNil(t, n)
	require.NoError(t, n.Wait(context.Background()))
	require.NoError(t, n.Close())
	require.NoError(t, before.Close())
}
