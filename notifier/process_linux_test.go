package notifier

// Tests of one system hold only what that system alone does. This file holds
// what other processes and other users of descriptors see of a poller on Linux:
// forked children, programs that are run, and whoever gets a descriptor's number.

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// A forked child that notifies gets CLOSED and does its parent no harm: no token,
// no signal. Its parent goes on as before.
func TestForkWithoutExec(t *testing.T) {
	if !foreign.SignalsAvailable {
		testenv.Missing(t, "cgo", "built without")
	}
	const closed = -1
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			p := newPoller(t, WithBackend(backend))
			list, handles := notifiers(t, p, 2)
			gone, goneHandle := notifiers(t, p, 1)
			require.NoError(t, gone[0].Close())
			for range testenv.Times(50) {
				settle(t, p)
				signalled := eventFDState(t, p)
				for _, h := range append(handles, goneHandle...) {
					code, err := foreign.InChild(uint64(h), 3)
					require.NoError(t, err)
					require.Equal(t, closed, code)
				}
				require.Equal(t, signalled, eventFDState(t, p), "the child signalled")
				for i, n := range list {
					require.False(t, isSet(n))
					require.NoError(t, handles[i].Notify())
					receive(t, n)
				}
			}
		})
	}
}

// eventFDState shows how often p's eventfd was signalled, which nobody reads. It is nothing for a
// pipe: that is emptied at once, without a trace.
func eventFDState(t *testing.T, p *Poller) string {
	t.Helper()
	bell, ok := p.set.bell.(*eventFD)
	if !ok {
		return ""
	}
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", bell.fd))
	require.NoError(t, err)
	require.Contains(t, string(info), "eventfd-count:")
	return string(info)
}

// A program that is run has none of the library's descriptors.
func TestExec(t *testing.T) {
	var ours []int
	for _, backend := range Backends() {
		ours = append(ours, descriptorsOf(newPoller(t, WithBackend(backend)).set.bell)...)
	}
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		testenv.Missing(t, "ls", err.Error())
	}
	require.Contains(t, string(out), " 0 -> ")
	files := openDescriptors()
	for _, fd := range ours {
		assert.NotContains(t, string(out), fmt.Sprintf(" %d -> %s\n", fd, files[fd]))
	}
}

// Numbers of descriptors that are reused right after Close are never written or
// read: here eventfds and pipes take every free number, again and again, while
// late handles notify, and none of them finds anything in it, or misses anything
// (netty #10615, gVisor #14755).
func TestReusedDescriptors(t *testing.T) {
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			var stop atomic.Bool
			var late sync.WaitGroup
			var storms []*foreign.Crowd
			defer func() {
				stop.Store(true)
				late.Wait()
				for _, s := range storms {
					s.Close()
				}
			}()
			for range testenv.Repeats(60) {
				p := newPoller(t, WithBackend(backend))
				list, handles := notifiers(t, p, 4)
				if len(storms) < 4 {
					if foreign.Available {
						storms = append(storms, foreign.Storm(numbers(list), 2, 0, true))
					}
					late.Go(func() {
						for i := 0; !stop.Load(); i++ {
							_ = handles[i%4].Notify()
							runtime.Gosched()
						}
					})
				} else if foreign.Available {
					crowd := foreign.Storm(numbers(list), 2, 2000, true)
					defer crowd.Close()
				}
				wait(t, "the poller to be signalled", func() bool { return p.Stats().Wakeups > 0 || len(list[0].C()) > 0 })
				require.NoError(t, p.Close())

				// The numbers that were free just now, and those that Close made
				// free if it did.
				var counters []int
				var pipes [][2]int
				for range 20 {
					fd, err := unix.Eventfd(7, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
					require.NoError(t, err)
					counters = append(counters, fd)
					var ends [2]int
					require.NoError(t, unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
					_, err = unix.Write(ends[1], []byte("mine"))
					require.NoError(t, err)
					pipes = append(pipes, ends)
				}
				for range 100 {
					_ = handles[0].Notify()
					if foreign.Available {
						foreign.Notify(uint64(handles[1]))
					}
				}
				// The next poller is signalled as well, at its own descriptor.
				next, err := NewPoller(WithBackend(backend))
				require.NoError(t, err)
				other, otherHandles := notifiers(t, next, 1)
				for range 20 {
					require.NoError(t, otherHandles[0].Notify())
					receive(t, other[0])
				}
				require.NoError(t, next.Close())
				for _, fd := range counters {
					var b [8]byte
					_, err := unix.Read(fd, b[:])
					require.NoError(t, err, "somebody has read it")
					require.EqualValues(t, 7, b[0]|b[7], "somebody has written to it")
					require.NoError(t, unix.Close(fd))
				}
				for _, ends := range pipes {
					var b [64]byte
					count, err := unix.Read(ends[0], b[:])
					require.NoError(t, err, "somebody has read it")
					require.Equal(t, "mine", string(b[:count]))
					require.NoError(t, unix.Close(ends[0]))
					require.NoError(t, unix.Close(ends[1]))
				}
			}
		})
	}
}

// A C signal handler notifies, in whatever it interrupts: C threads that are in
// the middle of notifying the same notifier, and Go's own, which may be in the
// middle of anything. errno is what it was (golang/go #45499, #35814).
func TestSignalHandler(t *testing.T) {
	if !foreign.SignalsAvailable {
		testenv.Missing(t, "cgo", "built without")
	}
	for _, backend := range Backends() {
		t.Run(backend, func(t *testing.T) {
			p := newPoller(t, WithBackend(backend))
			list, handles := notifiers(t, p, 2)
			undo := foreign.Handle(uint64(handles[0]))
			crowd := foreign.Storm(numbers(list), 2, 0, false)
			stopped := false
			stop := func() foreign.Results {
				stopped = true
				crowd.Stop()
				return crowd.Wait()
			}
			defer func() {
				if !stopped {
					stop()
				}
				crowd.Close()
			}()

			var done atomic.Bool
			var busy sync.WaitGroup
			for i := range 3 {
				busy.Go(func() {
					var keep [][]byte
					for !done.Load() { // allocations, channels, notifications, system calls
						keep = append(keep, make([]byte, 100))
						if len(keep) > 1000 {
							keep = nil
						}
						switch i {
						case 0:
							_ = handles[0].Notify()
						case 1:
							_ = list[0].Notify()
							list[0].Clear()
						case 2:
							_, _ = os.Stat("/")
						}
					}
				})
			}
			pid := unix.Getpid()
			for range testenv.Repeats(200) {
				crowd.Interrupt(20) // C threads
				entries, err := os.ReadDir("/proc/self/task")
				require.NoError(t, err)
				for _, entry := range entries { // and all there are
					var tid int
					_, _ = fmt.Sscan(entry.Name(), &tid)
					_ = unix.Tgkill(pid, tid, foreign.Signal)
				}
				require.NoError(t, unix.Kill(pid, foreign.Signal))
			}
			done.Store(true)
			busy.Wait()
			results := stop()
			assert.Zero(t, results.Changed)
			assert.Equal(t, results.Total(), results.Arrived())

			// Alone, each one arrives.
			settle(t, p)
			list[0].Clear()
			for range 20 {
				before := foreign.Handled().Total()
				require.NoError(t, unix.Kill(pid, foreign.Signal))
				receive(t, list[0])
				wait(t, "the handler to return", func() bool { return foreign.Handled().Total() > before })
				list[0].Clear()
				settle(t, p)
			}
			handled := undo()
			assert.Greater(t, handled.Total(), uint64(20))
			assert.Equal(t, handled.Total(), handled.Arrived(), "%+v", handled)
			assert.Zero(t, handled.Changed, "errno")
		})
	}
}

// closefrom(3), as programs do before they become daemons: every descriptor of the
// library is gone at once. Those of the runtime are spared, which no Go program
// survives without.
func TestCloseFrom(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	r, w, err := os.Pipe() // the runtime opens its own with the first that it polls
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	spared := openDescriptors()
	var pollers []*Poller
	var lists [][]*Notifier
	var handles []Handle
	for _, backend := range Backends() {
		p, err := NewPoller(WithBackend(backend))
		require.NoError(t, err)
		list, h := notifiers(t, p, 2)
		settle(t, p)
		pollers, lists, handles = append(pollers, p), append(lists, list), append(handles, h...)
	}
	parked(t)
	gone := 0
	for fd := range openDescriptors() {
		if _, spare := spared[fd]; !spare && unix.Close(fd) == nil {
			gone++
		}
	}
	require.GreaterOrEqual(t, gone, len(pollers))
	for _, h := range handles {
		require.Error(t, h.Notify(), "the descriptor is gone, or the notifier with it")
	}
	for i, p := range pollers {
		ended(t, p, "somebody closed descriptor", lists[i])
		require.NoError(t, p.Close())
	}
	for _, h := range handles {
		require.ErrorIs(t, h.Notify(), ErrClosed)
	}

	// What is opened now works, at the same numbers too.
	for _, backend := range Backends() {
		p, err := NewPoller(WithBackend(backend))
		require.NoError(t, err)
		list, h := notifiers(t, p, 1)
		require.NoError(t, h[0].Notify())
		receive(t, list[0])
		require.NoError(t, p.Close())
	}
}
