package chanadapter

// This file holds TestMain, which fails the run if the tests left goroutines or
// descriptors behind, and what all tests of the package use.

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

func TestMain(m *testing.M) {
	// The runtime's own descriptors are made when first needed.
	if r, w, err := os.Pipe(); err == nil {
		_, _ = r.Close(), w.Close()
	}
	// And so is the default poller's, which serves the rings and stays.
	if n, err := notifier.New(); err == nil {
		_, _ = n.Handle()
		_ = n.Close()
	}
	// A closed poller's doorbell waits for the next of its backend: see
	// notifier.Poller.Close. Tests that have one such poller at a time use these.
	for _, backend := range notifier.Backends() {
		if p, err := notifier.NewPoller(notifier.WithBackend(backend)); err == nil {
			_ = p.Close()
		}
	}
	// The rounds look at everything anew and would hide a lost edge.
	watchInterval = time.Hour
	before := openDescriptors()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

// leaks reports this package's goroutines that are left, with their stacks, and
// descriptors that were not open before.
func leaks(before map[string]string) int {
	var stacks []string
	descriptors := map[string]string{}
	// What has just been closed may take a moment to be gone.
	for deadline := time.Now().Add(testenv.Patience()); ; runtime.Gosched() {
		stacks = ourGoroutines()
		clear(descriptors)
		for fd, what := range openDescriptors() {
			if before[fd] != what {
				descriptors[fd] = what
			}
		}
		if len(stacks)+len(descriptors) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for _, s := range stacks {
		fmt.Fprintf(os.Stderr, "leaked goroutine:\n%s\n\n", s)
	}
	bad := len(stacks)
	for fd, what := range descriptors {
		fmt.Fprintf(os.Stderr, "leaked descriptor %s: %s\n", fd, what)
		bad++
	}
	if sharedSet() != nil {
		fmt.Fprintln(os.Stderr, "Watchers were left open")
		bad++
	}
	return min(bad, 1)
}

func ourGoroutines() (stacks []string) {
	buf := make([]byte, 1<<20)
	for _, s := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(s, "wakechan/chanadapter.") && !strings.Contains(s, "chanadapter.TestMain") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

// openDescriptors returns what each descriptor of this process is, where the
// system tells.
func openDescriptors() map[string]string {
	open := map[string]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		// The one that read the directory is closed by now.
		if what, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open[e.Name()] = what
		}
	}
	return open
}

func sharedSet() *watchSet {
	process.mu.Lock()
	defer process.mu.Unlock()
	return process.set
}

// patience ends what takes too long.
func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(), testenv.Patience(),
		fmt.Errorf("no wake-up within %v", testenv.Patience()))
	t.Cleanup(cancel)
	return ctx
}

// receive takes a token from c, which must come.
func receive(t testing.TB, c <-chan struct{}) {
	t.Helper()
	ctx := patience(t)
	select {
	case <-c:
	case <-ctx.Done():
		require.FailNow(t, "no token came", "%v", context.Cause(ctx))
	}
}

// none checks that there is no token.
func none(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		require.FailNow(t, "a token too many")
	default:
	}
}
