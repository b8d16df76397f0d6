package notifier_test

// This file holds how a backend is chosen: by option, by the environment, by
// default; and that what Backends lists works. What every backend must do is in
// the conformance suite.

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

// expected is what a system that refuses nothing has.
func expected() []string {
	switch runtime.GOOS {
	case "linux", "android":
		return []string{"eventfd", "pipe"}
	case "darwin", "ios", "freebsd", "dragonfly":
		return []string{"kqueue", "pipe"}
	case "windows":
		return []string{"iocp"}
	case "wasip1":
		return []string{"loop"}
	case "js", "plan9":
		return nil
	default:
		return []string{"pipe"}
	}
}

// supported skips the test where there is no doorbell at all.
func supported(t *testing.T) {
	t.Helper()
	if len(expected()) == 0 {
		t.Skip("this system has no doorbell")
	}
}

func TestBackends(t *testing.T) {
	t.Setenv("NOTIFIER_BACKEND", "")
	for range 3 {
		assert.Equal(t, expected(), notifier.Backends())
	}
}

func TestBackendsWork(t *testing.T) {
	for _, name := range notifier.Backends() {
		t.Run(name, func(t *testing.T) {
			p, err := notifier.NewPoller(notifier.WithBackend(name), notifier.WithLinger(0))
			require.NoError(t, err)
			defer p.Close()
			assert.Equal(t, name, p.Stats().Backend)
			n, err := p.New()
			require.NoError(t, err)
			h, err := n.Handle()
			require.NoError(t, err)
			for range 50 {
				done := make(chan error, 1)
				go func() { done <- h.Notify() }()
				select {
				case <-n.C():
				case <-time.After(testenv.Patience()):
					t.Fatal("lost")
				}
				require.NoError(t, <-done)
			}
			require.NoError(t, n.Close())
			require.ErrorIs(t, h.Notify(), notifier.ErrClosed)
		})
	}
}

func TestBackendByEnvironment(t *testing.T) {
	supported(t)
	for _, name := range expected() {
		t.Setenv("NOTIFIER_BACKEND", name)
		assert.Equal(t, name, notifier.Backends()[0], "the environment's is the default")
		assert.ElementsMatch(t, expected(), notifier.Backends())
		p, err := notifier.NewPoller()
		require.NoError(t, err)
		assert.Equal(t, name, p.Stats().Backend)
		require.NoError(t, p.Close())

		for _, other := range expected() {
			p, err := notifier.NewPoller(notifier.WithBackend(other))
			require.NoError(t, err)
			assert.Equal(t, other, p.Stats().Backend, "an option goes before the environment")
			require.NoError(t, p.Close())
		}
	}
}

// What a closed poller of another backend has left does not go before the default.
func TestDefaultBackendAfterAnother(t *testing.T) {
	supported(t)
	t.Setenv("NOTIFIER_BACKEND", "")
	for _, name := range expected() {
		left, err := notifier.NewPoller(notifier.WithBackend(name))
		require.NoError(t, err)
		require.NoError(t, left.Close())
		// More than there may be left of the default's own.
		for range 20 {
			p, err := notifier.NewPoller()
			require.NoError(t, err)
			defer p.Close()
			assert.Equal(t, expected()[0], p.Stats().Backend)
		}
	}
}

func TestUnknownBackend(t *testing.T) {
	supported(t)
	list := strings.Join(expected(), ", ")
	t.Setenv("NOTIFIER_BACKEND", "")
	_, err := notifier.NewPoller(notifier.WithBackend("doorknocker"))
	assert.EqualError(t, err, `notifier: unknown backend "doorknocker"; this system has: `+list)

	t.Setenv("NOTIFIER_BACKEND", "doorknocker")
	_, err = notifier.NewPoller()
	assert.EqualError(t, err, `notifier: unknown backend "doorknocker"; this system has: `+list+
		` (the environment has NOTIFIER_BACKEND=doorknocker)`)
	assert.Equal(t, expected(), notifier.Backends(), "a name that is none changes nothing")
}

// A backend of another system is as unknown as any.
func TestForeignBackend(t *testing.T) {
	supported(t)
	t.Setenv("NOTIFIER_BACKEND", "")
	for _, name := range []string{"eventfd", "pipe", "kqueue", "iocp", "loop"} {
		p, err := notifier.NewPoller(notifier.WithBackend(name))
		if err == nil {
			assert.Contains(t, expected(), name)
			require.NoError(t, p.Close())
			continue
		}
		assert.NotContains(t, expected(), name)
		assert.ErrorContains(t, err, "this system has: "+strings.Join(expected(), ", "))
	}
}

func TestBackendsLeaveNoDescriptors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("what Wine has in /proc/self/fd is its own: TestBackendsLeaveNoHandles")
	}
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			testenv.Missing(t, "proc", err.Error())
		}
		return len(list)
	}
	notifier.Backends()
	for _, name := range append(expected(), "doorknocker") { // as it would be in a new process
		notifier.ForgetBackends()
		before := count()
		_, _ = notifier.NewPoller(notifier.WithBackend("doorknocker"))
		notifier.ForgetBackends()
		notifier.Backends()
		// Fewer, if the collector has just closed what another test left.
		assert.LessOrEqual(t, count(), before, name)
	}
}
