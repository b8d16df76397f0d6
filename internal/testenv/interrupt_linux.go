package testenv

import (
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Interrupt sends each thread, until the test ends, the signal by which Go preempts
// goroutines. A C function that a goroutine calls then often ends with EINTR: not those that
// SA_RESTART resumes, but poll, epoll_wait, nanosleep and their like (signal(7)).
func Interrupt(t testing.TB) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			threads, err := os.ReadDir("/proc/self/task")
			if err != nil {
				return
			}
			for _, thread := range threads {
				id, _ := strconv.Atoi(thread.Name())
				_ = unix.Tgkill(os.Getpid(), id, unix.SIGURG) // ESRCH: it has ended
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Microsecond):
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}
