package chanadapter

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// TestInterrupted: a thread blocks in epoll_pwait for a terminal. The signals by which Go
// preempts goroutines end that with EINTR, and the terminal is watched all the same.
func TestInterrupted(t *testing.T) {
	testenv.Interrupt(t)
	terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		testenv.Missing(t, "pty", err.Error())
	}
	own(t, terminal)
	w := mustWatch(t, terminal, Writable())
	for range 1000 {
		receive(t, w.C())
		if err := w.Rearm(); err != nil {
			t.Fatal(err)
		}
	}
}
