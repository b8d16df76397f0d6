// Package leak fails a test run that leaves goroutines or descriptors behind. The
// TestMain of each package that makes any calls Run.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wakechan/wakechan/internal/breath"
	"github.com/wakechan/wakechan/internal/testenv"
)

// Check says what of a run's remains is there on purpose. A nil function allows
// nothing and adds nothing.
type Check struct {
	Goroutine  func(stack string) bool
	Descriptor func(fd int) bool
	Also       func() string // describes what else is left; called anew at each look
}

// Run runs m's tests, and returns the exit code: the tests' own, or 1 with a
// description on stderr if something is left that was not there before. It does
// not look in the child processes of tests.
func (c Check) Run(m *testing.M) int {
	goroutines, descriptors := Goroutines(), Descriptors()
	code := m.Run()
	if code != 0 || testenv.InChild() {
		return code
	}
	// What has just been closed may take a moment to be gone.
	for end := time.Now().Add(testenv.Patience()); ; time.Sleep(time.Millisecond) {
		left := c.left(goroutines, descriptors)
		if left == "" {
			return 0
		}
		if time.Now().After(end) {
			fmt.Fprintln(os.Stderr, "the tests left something behind:\n\n"+left)
			return 1
		}
	}
}

func (c Check) left(goroutines map[string]string, descriptors map[int]string) string {
	var b strings.Builder
	if c.Also != nil {
		b.WriteString(c.Also())
	}
	for id, stack := range Goroutines() {
		_, old := goroutines[id]
		if old || strings.Contains(stack, "os/signal.") || c.Goroutine != nil && c.Goroutine(stack) {
			continue
		}
		fmt.Fprintf(&b, "%s\n\n", stack)
	}
	for fd, file := range Descriptors() {
		if descriptors[fd] != file && (c.Descriptor == nil || !c.Descriptor(fd)) {
			fmt.Fprintf(&b, "descriptor %d: %s\n", fd, file)
		}
	}
	return b.String()
}

// Goroutines returns the stack of each goroutine but the caller's, by its
// "goroutine N".
func Goroutines() map[string]string {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, true)]
	all := map[string]string{}
	for _, stack := range strings.Split(string(text), "\n\n")[1:] {
		id, _, _ := strings.Cut(stack, " [")
		all[id] = stack
	}
	return all
}

// Descriptors returns what each of the process's descriptors is, on Linux. The runtime's netpoller makes its own for the first file that needs
// it, so there is such a file first; and so does package breath for the first pause.
func Descriptors() map[int]string {
	if runtime.GOOS != "linux" {
		return nil // also where an emulator shows the /proc of its host
	}
	if r, w, err := os.Pipe(); err == nil {
		_, _ = r.Close(), w.Close()
	}
	breath.Pause()
	open := map[int]string{}
	list, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range list {
		// The directory's own descriptor is gone by now.
		if file, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			fd, _ := strconv.Atoi(entry.Name())
			open[fd] = file
		}
	}
	return open
}
