// Package selftest tries the loader: run on a Mac, it says what the loader should do.
//
// This file holds kqueue and kevent.
package selftest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/leak"
	"github.com/wakechan/wakechan/internal/testenv"
)

func newkq(t testing.TB) int {
	fd, err := unix.Kqueue()
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
func add(t testing.TB, kq int, ev ...unix.Kevent_t) {
	t.Helper()
	if n, err := unix.Kevent(kq, ev, nil, nil); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}
func ev(id int, f int16, fl uint16, ff uint32) unix.Kevent_t {
	return unix.Kevent_t{Ident: uint64(id), Filter: f, Flags: fl, Fflags: ff}
}
func wait(kq int, n int, d time.Duration) ([]unix.Kevent_t, error) {
	out := make([]unix.Kevent_t, n)
	end := time.Now().Add(d)
	for {
		var ts *unix.Timespec
		if d >= 0 {
			x := unix.NsecToTimespec(int64(max(0, time.Until(end))))
			ts = &x
		}
		k, err := unix.Kevent(kq, nil, out, ts)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		return out[:k], nil
	}
}
func expect(t testing.TB, kq, want int, d time.Duration) []unix.Kevent_t {
	t.Helper()
	e, err := wait(kq, 16, d)
	if err != nil || len(e) != want {
		t.Fatalf("got %v, %v; want %d events", e, err, want)
	}
	return e
}

const USER = unix.EVFILT_USER

func TestUserClear(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	add(t, kq, ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, 0))
	expect(t, kq, 0, 0)
	add(t, kq, ev(1, USER, 0, unix.NOTE_TRIGGER))
	add(t, kq, ev(1, USER, 0, unix.NOTE_TRIGGER))
	e := expect(t, kq, 1, 0)
	if e[0].Ident != 1 || e[0].Filter != USER || e[0].Flags&unix.EV_CLEAR == 0 {
		t.Fatal(e)
	}
	expect(t, kq, 0, 0)
}
func TestUserLevel(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	add(t, kq, ev(1, USER, unix.EV_ADD, 0))
	add(t, kq, ev(1, USER, 0, unix.NOTE_TRIGGER))
	expect(t, kq, 1, 0)
	expect(t, kq, 1, 0)
	add(t, kq, ev(1, USER, unix.EV_DISABLE, 0))
	expect(t, kq, 0, 0)
	add(t, kq, ev(1, USER, unix.EV_ENABLE, 0))
	expect(t, kq, 1, 0)
	add(t, kq, ev(1, USER, unix.EV_DELETE, 0))
	expect(t, kq, 0, 0)
}
func TestUserUnregistered(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	if _, err := unix.Kevent(kq, []unix.Kevent_t{ev(5, USER, 0, unix.NOTE_TRIGGER)}, nil, nil); err != unix.ENOENT {
		t.Fatal(err)
	}
	out := make([]unix.Kevent_t, 2)
	n, err := unix.Kevent(kq, []unix.Kevent_t{ev(5, USER, unix.EV_DELETE, 0)}, out, nil)
	if err != nil || n != 1 || out[0].Flags&unix.EV_ERROR == 0 || out[0].Data != int64(unix.ENOENT) {
		t.Fatal(n, err, out)
	}
}
func TestReceipt(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	out := make([]unix.Kevent_t, 4)
	n, err := unix.Kevent(kq, []unix.Kevent_t{ev(1, USER, unix.EV_ADD|unix.EV_RECEIPT|unix.EV_CLEAR, unix.NOTE_TRIGGER), ev(9999, unix.EVFILT_READ, unix.EV_ADD|unix.EV_RECEIPT, 0)}, out, nil)
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if out[0].Flags&unix.EV_ERROR == 0 || out[0].Data != 0 || out[1].Data != int64(unix.EBADF) {
		t.Fatal(out)
	}
	expect(t, kq, 1, 0)
}
func TestUserFF(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	add(t, kq, ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, 0x0f))
	add(t, kq, ev(1, USER, 0, unix.NOTE_FFOR|0xf0))
	add(t, kq, ev(1, USER, 0, unix.NOTE_FFAND|0x3c|unix.NOTE_TRIGGER))
	if e := expect(t, kq, 1, 0); e[0].Fflags != 0x3c {
		t.Fatalf("%x", e[0].Fflags)
	}
	add(t, kq, ev(1, USER, 0, unix.NOTE_FFCOPY|0x77|unix.NOTE_TRIGGER))
	if e := expect(t, kq, 1, 0); e[0].Fflags != 0x77 {
		t.Fatalf("%x", e[0].Fflags)
	}
}
func TestUserOneshotDispatch(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	add(t, kq, ev(1, USER, unix.EV_ADD|unix.EV_ONESHOT, unix.NOTE_TRIGGER))
	expect(t, kq, 1, 0)
	expect(t, kq, 0, 0)
	if _, err := unix.Kevent(kq, []unix.Kevent_t{ev(1, USER, 0, unix.NOTE_TRIGGER)}, nil, nil); err != unix.ENOENT {
		t.Fatal(err)
	}
	add(t, kq, ev(2, USER, unix.EV_ADD|unix.EV_DISPATCH|unix.EV_CLEAR, unix.NOTE_TRIGGER))
	expect(t, kq, 1, 0)
	add(t, kq, ev(2, USER, 0, unix.NOTE_TRIGGER))
	expect(t, kq, 0, 0)
	add(t, kq, ev(2, USER, unix.EV_ENABLE, 0))
	expect(t, kq, 1, 0)
}
func TestUdata(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	x := new(int)
	e := ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, 0)
	e.Udata = (*byte)(unsafe.Pointer(x))
	add(t, kq, e)
	e = ev(1, USER, 0, unix.NOTE_TRIGGER)
	e.Udata = (*byte)(unsafe.Pointer(x))
	e.Data = 42
	add(t, kq, e)
	if r := expect(t, kq, 1, 0); r[0].Udata != e.Udata || r[0].Data != 42 {
		t.Fatal(r)
	}
	runtime.KeepAlive(x)
}
func TestTimeout(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	s := time.Now()
	expect(t, kq, 0, 30*time.Millisecond)
	if d := time.Since(s); d < 30*time.Millisecond {
		t.Fatal(d)
	}
	if _, err := unix.Kevent(kq, nil, make([]unix.Kevent_t, 1), &unix.Timespec{Nsec: 1e9}); err != unix.EINVAL {
		t.Fatal(err)
	}
	if _, err := unix.Kevent(12345, nil, nil, nil); err != unix.EBADF {
		t.Fatal(err)
	}
	n, err := unix.Kevent(kq, nil, nil, nil)
	if n != 0 || err != nil {
		t.Fatal(n, err)
	}
}
func TestReadPipe(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	p := make([]int, 2)
	unix.Pipe(p)
	add(t, kq, ev(p[0], unix.EVFILT_READ, unix.EV_ADD, 0))
	expect(t, kq, 0, 0)
	unix.Write(p[1], []byte("hello"))
	if e := expect(t, kq, 1, -1); e[0].Data != 5 || e[0].Ident != uint64(p[0]) {
		t.Fatal(e)
	}
	expect(t, kq, 1, 0) // level
	b := make([]byte, 10)
	unix.Read(p[0], b)
	expect(t, kq, 0, 0)
	add(t, kq, ev(p[0], unix.EVFILT_READ, unix.EV_DELETE, 0))
	add(t, kq, ev(p[0], unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR, 0))
	unix.Write(p[1], []byte("ab"))
	expect(t, kq, 1, 0)
	expect(t, kq, 0, 0)
	unix.Write(p[1], []byte("c"))
	if e := expect(t, kq, 1, 0); e[0].Data != 3 {
		t.Fatal(e)
	}
	add(t, kq, ev(p[0], unix.EVFILT_READ, unix.EV_ADD, 0))
	expect(t, kq, 1, 0) // touch re-evaluates
	expect(t, kq, 0, 0) // still EV_CLEAR: flags are fixed at creation
	unix.Close(p[1])
	if e := expect(t, kq, 1, 0); e[0].Flags&unix.EV_EOF == 0 || e[0].Data != 3 {
		t.Fatal(e)
	}
	unix.Close(p[0])
	if _, err := unix.Kevent(kq, []unix.Kevent_t{ev(p[0], unix.EVFILT_READ, unix.EV_DELETE, 0)}, nil, nil); err != unix.ENOENT {
		t.Fatal(err)
	}
}
func TestWritePipe(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	p := make([]int, 2)
	unix.Pipe(p)
	unix.SetNonblock(p[1], true)
	add(t, kq, ev(p[1], unix.EVFILT_WRITE, unix.EV_ADD, 0))
	expect(t, kq, 1, 0)
	for {
		if _, err := unix.Write(p[1], make([]byte, 4096)); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	expect(t, kq, 0, 0)
	unix.Close(p[0])
	if e := expect(t, kq, 1, 0); e[0].Flags&unix.EV_EOF == 0 {
		t.Fatal(e)
	}
	if _, err := unix.Write(p[1], []byte("x")); err != unix.EPIPE {
		t.Fatal(err)
	}
	unix.Close(p[1])
}

// inSyscall waits until so many goroutines are in a system call in the function.
func inSyscall(t *testing.T, count int, function string) {
	for end := time.Now().Add(testenv.Patience()); ; time.Sleep(time.Millisecond) {
		there := 0
		for _, stack := range leak.Goroutines() {
			if strings.Contains(stack, " [syscall") && strings.Contains(stack, function) {
				there++
			}
		}
		if there == count {
			return
		}
		if time.Now().After(end) {
			t.Fatal(there, "are there")
		}
	}
}
func TestCloseWakes(t *testing.T) {
	kq := newkq(t)
	done := make(chan error, 3)
	for i := 0; i < 3; i++ {
		go func() { _, err := wait(kq, 1, -1); done <- err }()
	}
	inSyscall(t, 3, "selftest.wait(")
	unix.Close(kq)
	for i := 0; i < 3; i++ {
		select {
		case e := <-done:
			if e != unix.EBADF {
				t.Fatal(e)
			}
		case <-time.After(testenv.Patience()):
			t.Fatal("stuck")
		}
	}
}
func TestKqPollable(t *testing.T) {
	a, b := newkq(t), newkq(t)
	defer unix.Close(a)
	defer unix.Close(b)
	add(t, a, ev(b, unix.EVFILT_READ, unix.EV_ADD, 0))
	expect(t, a, 0, 0)
	add(t, b, ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, unix.NOTE_TRIGGER))
	if e := expect(t, a, 1, -1); e[0].Ident != uint64(b) {
		t.Fatal(e)
	}
	expect(t, b, 1, 0)
	expect(t, a, 0, 0)
	fds := []unix.PollFd{{Fd: int32(b), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 0); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	add(t, b, ev(1, USER, 0, unix.NOTE_TRIGGER))
	if n, err := unix.Poll(fds, 1000); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}
func TestTimer(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	e := ev(1, unix.EVFILT_TIMER, unix.EV_ADD, 0)
	e.Data = 10
	add(t, kq, e)
	time.Sleep(55 * time.Millisecond)
	if r := expect(t, kq, 1, -1); r[0].Data < 4 {
		t.Fatal(r)
	}
	expect(t, kq, 1, -1)
}
func TestNeventsLimit(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	for i := 0; i < 10; i++ {
		add(t, kq, ev(i, USER, unix.EV_ADD|unix.EV_CLEAR, unix.NOTE_TRIGGER))
	}
	seen := map[uint64]int{}
	for i := 0; i < 4; i++ {
		e, _ := wait(kq, 3, 0)
		for _, x := range e {
			seen[x.Ident]++
		}
	}
	if len(seen) != 10 {
		t.Fatal(seen)
	}
	expect(t, kq, 0, 0)
}
func TestLatency(t *testing.T) { // ping-pong between two kqueues
	a, b := newkq(t), newkq(t)
	defer unix.Close(a)
	defer unix.Close(b)
	add(t, a, ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, 0))
	add(t, b, ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, 0))
	const N = 5000
	go func() {
		for i := 0; i < N; i++ {
			wait(a, 1, -1)
			add(t, b, ev(1, USER, 0, unix.NOTE_TRIGGER))
		}
	}()
	s := time.Now()
	for i := 0; i < N; i++ {
		add(t, a, ev(1, USER, 0, unix.NOTE_TRIGGER))
		wait(b, 1, -1)
	}
	t.Log("round trip", time.Since(s)/N)
}

// Many goroutines trigger many idents; one or several pollers; every trigger after a
// consumer's read of the counter must lead to another delivery (no lost wakeups).
func TestStress(t *testing.T) {
	for _, pollers := range []int{1, 4} {
		t.Run(fmt.Sprint(pollers), func(t *testing.T) {
			kq := newkq(t)
			defer unix.Close(kq)
			const ids, per, workers = 32, 2000, 8
			var pending [ids]atomic.Int64
			var consumed atomic.Int64
			for i := range ids {
				add(t, kq, ev(i, USER, unix.EV_ADD|unix.EV_CLEAR, 0))
			}
			add(t, kq, ev(1000, USER, unix.EV_ADD, 0)) // quit, level
			var pw, ww sync.WaitGroup
			for range pollers {
				pw.Add(1)
				go func() {
					defer pw.Done()
					for {
						es, err := wait(kq, 5, -1)
						if err != nil {
							t.Error(err)
							return
						}
						for _, e := range es {
							if e.Ident == 1000 {
								return
							}
							consumed.Add(pending[e.Ident].Swap(0))
						}
					}
				}()
			}
			for w := range workers {
				ww.Add(1)
				go func() {
					defer ww.Done()
					for i := range per {
						id := (i*7 + w) % ids
						pending[id].Add(1)
						if _, err := unix.Kevent(kq, []unix.Kevent_t{ev(id, USER, 0, unix.NOTE_TRIGGER)}, nil, nil); err != nil {
							t.Error(err)
						}
					}
				}()
			}
			ww.Wait()
			dl := time.Now().Add(testenv.Patience())
			for consumed.Load() != workers*per {
				if time.Now().After(dl) {
					t.Fatal("lost", consumed.Load(), workers*per)
				}
				time.Sleep(time.Millisecond)
			}
			add(t, kq, ev(1000, USER, 0, unix.NOTE_TRIGGER))
			pw.Wait()
		})
	}
}
func TestStressPipes(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	const np, per = 16, 500
	rd := map[uint64]int{}
	var w []int
	for range np {
		p := make([]int, 2)
		unix.Pipe(p)
		unix.SetNonblock(p[0], true)
		w = append(w, p[1])
		rd[uint64(p[0])] = 0
		add(t, kq, ev(p[0], unix.EVFILT_READ, unix.EV_ADD|unix.EV_CLEAR, 0))
	}
	for _, fd := range w {
		go func() {
			for range per {
				unix.Write(fd, []byte("x"))
				runtime.Gosched()
			}
			unix.Close(fd)
		}()
	}
	open, total := np, 0
	for open > 0 {
		es, err := wait(kq, 4, testenv.Patience())
		if err != nil || len(es) == 0 {
			t.Fatal(err, open, total)
		}
		for _, e := range es {
			b := make([]byte, 64)
			for {
				n, err := unix.Read(int(e.Ident), b)
				if n > 0 {
					total += n
					continue
				}
				if n == 0 && err == nil {
					open--
					unix.Close(int(e.Ident))
				} else if err != unix.EAGAIN {
					t.Fatal(err)
				}
				break
			}
		}
	}
	if total != np*per {
		t.Fatal(total)
	}
}
func TestBlockedWhileOthersRun(t *testing.T) {
	kq := newkq(t)
	defer unix.Close(kq)
	add(t, kq, ev(1, USER, unix.EV_ADD|unix.EV_CLEAR, 0))
	done := make(chan time.Duration)
	s := time.Now()
	go func() { wait(kq, 1, -1); done <- time.Since(s) }()
	var n atomic.Int64
	stop := make(chan bool)
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					n.Add(1)
					runtime.Gosched()
				}
			}
		}()
	}
	for range 20 {
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
	}
	add(t, kq, ev(1, USER, 0, unix.NOTE_TRIGGER))
	if d := <-done; d < 40*time.Millisecond {
		t.Fatal(d)
	}
	close(stop)
	t.Log(n.Load())
}
func TestRegistrationChurn(t *testing.T) { // add/trigger/delete races with a poller
	kq := newkq(t)
	defer unix.Close(kq)
	stop := make(chan bool)
	var wg sync.WaitGroup
	for range 2 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
					wait(kq, 8, time.Millisecond)
				}
			}
		}()
	}
	var ww sync.WaitGroup
	for w := range 4 {
		ww.Add(1)
		go func() {
			defer ww.Done()
			for i := range 1000 {
				id := w*10 + i%10
				unix.Kevent(kq, []unix.Kevent_t{ev(id, USER, unix.EV_ADD|unix.EV_CLEAR, unix.NOTE_TRIGGER)}, nil, nil)
				unix.Kevent(kq, []unix.Kevent_t{ev(id, USER, unix.EV_DELETE, 0)}, nil, nil)
				if i%50 == 0 {
					p := make([]int, 2)
					unix.Pipe(p)
					unix.Kevent(kq, []unix.Kevent_t{ev(p[0], unix.EVFILT_READ, unix.EV_ADD, 0)}, nil, nil)
					unix.Write(p[1], []byte("x"))
					unix.Close(p[0])
					unix.Close(p[1])
				}
			}
		}()
	}
	ww.Wait()
	close(stop)
	wg.Wait()
}
func TestKqChurn(t *testing.T) {
	for range 300 {
		kq := newkq(t)
		add(t, kq, ev(1, USER, unix.EV_ADD, unix.NOTE_TRIGGER))
		expect(t, kq, 1, 0)
		unix.Close(kq)
	}
}
func TestMain(m *testing.M) { os.Exit(m.Run()) }
