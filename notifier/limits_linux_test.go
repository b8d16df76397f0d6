package notifier

// Tests of one system hold only what that system alone does. This file takes
// away what Linux gives: eventfd, descriptors, address space. Each test runs in
// a process of its own.

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// Where eventfd is denied the self-pipe is chosen, unasked.
func TestEventFDIsRefused(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	// Go's own netpoller makes an eventfd with the first file that it waits for.
	r, w, err := os.Pipe()
	require.NoError(t, err)
	_, _ = r.Close(), w.Close()
	testenv.Refuse(t, unix.SYS_EVENTFD2)

	assert.Equal(t, []string{"pipe"}, Backends(), "what works here")
	_, err = NewPoller(WithBackend("eventfd"))
	require.ErrorIs(t, err, unix.EPERM, "not another one than asked for")
	p := newPoller(t)
	assert.Equal(t, "pipe", p.Stats().Backend)
	n := New()
	defer n.Close()
	h := handleOf(t, n)
	assert.Equal(t, "pipe", n.poller.Stats().Backend, "the process-wide one too")
	for range 100 {
		require.NoError(t, h.Notify())
		receive(t, n)
		if foreign.Available {
			require.Equal(t, uint64(1), foreign.OnThread(uint64(h), 1).Arrived())
			receive(t, n)
		}
	}
}

// A sandbox denies a call before the process starts. Without eventfd2 Go's own runtime
// ends the process: it makes an eventfd for its first file. Without pipe2 all is well.
func TestDeniedBeforeTheStart(t *testing.T) {
	const inside = "WAKECHAN_IN_SANDBOX"
	if os.Getenv(inside) != "" {
		assert.Equal(t, []string{"eventfd"}, Backends())
		n := New()
		defer n.Close()
		require.NoError(t, handleOf(t, n).Notify())
		receive(t, n)
		return
	}
	t.Run("eventfd2", func(t *testing.T) {
		if !testenv.Child(t) {
			return
		}
		testenv.Refuse(t, unix.SYS_EVENTFD2) // exec keeps the filter (seccomp(2))
		child := testenv.Again(t.Context(), t, "-test.run=^TestDeniedBeforeTheStart$", "-test.count=1")
		child.Env = append(os.Environ(), inside+"=1")
		out, err := child.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "eventfd failed")
	})
	t.Run("pipe2", func(t *testing.T) {
		if !testenv.Child(t) {
			return
		}
		testenv.Refuse(t, unix.SYS_PIPE2) // with which package os/exec would start a process
		child := testenv.Again(t.Context(), t, "-test.run=^TestDeniedBeforeTheStart$", "-test.count=1")
		require.NoError(t, unix.Exec(child.Path, child.Args, append(os.Environ(), inside+"=1")))
	})
}

// atTheLimit checks that NewPoller and Handle give the error, and that nothing
// of it stays, and that Go's side goes on.
func atTheLimit(t *testing.T, n *Notifier, want error) {
	t.Helper()
	mapped := len(knownSets())
	for range 20 {
		for _, backend := range []string{"", "eventfd", "pipe"} {
			p, err := NewPoller(WithBackend(backend))
			require.ErrorIs(t, err, want, backend)
			require.Nil(t, p)
		}
		h, err := n.Handle()
		require.ErrorIs(t, err, want)
		require.Zero(t, h)
		require.NoError(t, n.Notify())
		require.NoError(t, n.Wait(t.Context()))
		require.NoError(t, n.Err())
		require.Nil(t, process.p)
		require.Len(t, knownSets(), mapped)
	}
}

// works checks that the limit is gone and all is well.
func works(t *testing.T, n *Notifier) {
	t.Helper()
	require.NoError(t, handleOf(t, n).Notify())
	receive(t, n)
	require.NoError(t, n.Close())
	for _, backend := range []string{"eventfd", "pipe"} {
		p := newPoller(t, WithBackend(backend))
		list, handles := notifiers(t, p, 1)
		require.NoError(t, handles[0].Notify())
		receive(t, list[0])
	}
}

// Where the system refuses one of the calls by which a poller is made, NewPoller says
// which, nothing of it is left, and Go's side goes on.
func TestPollerIsRefused(t *testing.T) {
	for name, refused := range map[string]struct {
		call uint32
	}{
		"pipe2":     {call: unix.SYS_PIPE2},
		"eventfd2":  {call: unix.SYS_EVENTFD2},
		"epoll_ctl": {call: unix.SYS_EPOLL_CTL},
	} {
		t.Run(name, func(t *testing.T) {
			if !testenv.Child(t) {
				return
			}
			n := New()
			before := openDescriptors()
			testenv.Refuse(t, refused.call)
			for range 20 {
				for _, backend := range []string{"eventfd", "pipe"} {
					p, err := NewPoller(WithBackend(backend))
					if name == "epoll_ctl" || name == "pipe2" && backend == "pipe" || name == "eventfd2" && backend == "eventfd" {
						require.ErrorContains(t, err, "no "+backend+" doorbell")
						require.Nil(t, p)
					} else {
						require.NoError(t, err)
						require.NoError(t, p.Close())
					}
				}
				require.NoError(t, n.Notify())
				require.NoError(t, n.Wait(t.Context()))
			}
			if name == "epoll_ctl" && len(takesThread) == 0 {
				_, err := n.Handle()
				require.ErrorContains(t, err, "the runtime cannot wait for it")
				require.NoError(t, n.Err())
			}
			ours := map[int]bool{}
			for _, s := range knownSets() {
				for _, fd := range descriptorsOf(s.bell) {
					ours[fd] = true
				}
			}
			for fd, file := range openDescriptors() {
				_, old := before[fd]
				assert.True(t, old || ours[fd], "descriptor %d was left behind: %s", fd, file)
			}
		})
	}
}

func TestOutOfDescriptors(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	n := New()
	before := openDescriptors()
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = uint64(slices.Max(keys(before)) + 1)
	fill := 0
	for fd := range int(low.Cur) {
		if _, used := before[fd]; !used {
			fill++
		}
	}
	for range fill { // the holes
		_, err := unix.Dup(0)
		require.NoError(t, err)
	}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	atTheLimit(t, n, unix.EMFILE)

	// One or two are left: enough for an eventfd, for half a pipe, or for none of
	// the netpoller.
	low.Cur++
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	for range 20 {
		_, err := NewPoller(WithBackend("pipe"))
		require.ErrorIs(t, err, unix.EMFILE)
	}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	after := openDescriptors()
	assert.Len(t, after, len(before)+fill, "a descriptor was left behind")
	works(t, n)
}

func keys[K comparable, V any](m map[K]V) (list []K) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

func TestOutOfAddressSpace(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector needs the address space itself")
	}
	if os.Getenv("WAKECHAN_EMULATOR") != "" {
		t.Skip("an emulator does not keep its guest to RLIMIT_AS")
	}
	if !testenv.Child(t) {
		return
	}
	n := New()
	before := openDescriptors()

	// A little more than there is now: a block does not fit, and what the runtime
	// takes for its books does. Threads it has already: a new one's stack would be
	// too much, and it must not need one just then.
	testenv.SpareThreads(32)
	debug.SetGCPercent(-1)
	var stat unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_AS, &stat))
	low := stat
	low.Cur = addressSpace(t) + 6<<20 // a block takes 16 while it is aligned
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &low))
	atTheLimit(t, n, unix.ENOMEM)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_AS, &stat))
	debug.SetGCPercent(100)

	assert.Equal(t, before, openDescriptors(), "a descriptor was left behind")
	works(t, n)
}

// addressSpace is how much of it this process has in use (proc(5): statm).
func addressSpace(t *testing.T) uint64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var pages uint64
	_, err = fmt.Sscan(string(statm), &pages)
	require.NoError(t, err)
	return pages * uint64(os.Getpagesize())
}

// Many pollers at once, until the descriptors are used up by them.
func TestPollersUntilThereAreNoDescriptors(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	low := unix.Rlimit{Cur: 200, Max: 200}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	var mu sync.Mutex
	var all []*Poller
	var makers sync.WaitGroup
	for range 4 {
		makers.Go(func() {
			for {
				p, err := NewPoller()
				if err != nil {
					assert.ErrorIs(t, err, unix.EMFILE)
					return
				}
				mu.Lock()
				all = append(all, p)
				mu.Unlock()
			}
		})
	}
	makers.Wait()
	require.Greater(t, len(all), 150)
	for _, p := range all {
		n, err := p.New()
		require.NoError(t, err)
		h, err := n.Handle()
		require.NoError(t, err)
		require.NoError(t, h.Notify())
		require.NoError(t, n.Wait(t.Context()))
		require.NoError(t, p.Close())
	}
	// Their doorbells serve the next ones.
	for range 150 {
		newPoller(t)
	}
}
