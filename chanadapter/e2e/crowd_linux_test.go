package e2e

// This file watches many short-lived things of different kinds at once.

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/chanadapter/e2e/report"
	"github.com/wakechan/wakechan/internal/testenv"
)

// TestCrowd watches 1,000 children to their end, 1,000 timers and an inotify
// descriptor that hears of 1,000 files, all together, and looks at the number of
// threads meanwhile.
func TestCrowd(t *testing.T) {
	each := 1_000
	if !testenv.Long() {
		each = 100
	}
	for _, name := range []string{"/bin/true", "/usr/bin/true"} {
		if _, err := os.Stat(name); err == nil {
			crowd(t, each, name)
			return
		}
	}
	testenv.Missing(t, "true", "a program that ends at once")
}

func crowd(t *testing.T, each int, program string) {
	dir := t.TempDir()
	inotify, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	require.NoError(t, err)
	defer unix.Close(inotify)
	_, err = unix.InotifyAddWatch(inotify, dir, unix.IN_CREATE)
	require.NoError(t, err)
	files, err := chanadapter.Watch(uintptr(inotify))
	require.NoError(t, err)
	defer files.Close()

	var all sync.WaitGroup
	var mu sync.Mutex
	var children, timers, inotified report.Row
	children.Source, timers.Source, inotified.Source = "pidfd", "timerfd", "inotify"
	children.Messages, timers.Messages, inotified.Messages = each, each, each

	giveUp, cancel := context.WithTimeout(context.Background(), 3*testenv.Patience())
	defer cancel()
	wait := func(c <-chan struct{}, what string) bool {
		select {
		case <-c:
			return true
		case <-giveUp.Done():
			t.Errorf("no token for %s", what)
			return false
		}
	}

	before := report.Threads(t)
	most := before
	for range each {
		timer, err := chanadapter.NewTimer(chanadapter.Boottime)
		require.NoError(t, err)
		all.Go(func() {
			defer timer.Close()
			const d = 50 * time.Millisecond
			start := time.Now()
			if err := timer.After(d); err != nil {
				t.Error(err)
				return
			}
			ok := wait(timer.C(), "a timer")
			mu.Lock()
			defer mu.Unlock()
			timers.Wakeups++
			timers.Wake = append(timers.Wake, time.Since(start)-d)
			if n, _ := timer.Expired(); n != 1 || !ok {
				timers.Lost++
			}
		})
	}
	all.Go(func() { // the reader of inotify
		for got := 0; got < each; {
			if !wait(files.C(), "a file") {
				inotified.Lost = each - got
				return
			}
			inotified.Wakeups++
			got += created(t, inotify)
		}
	})
	for i := range each {
		child, err := os.StartProcess(program, []string{program}, &os.ProcAttr{})
		require.NoError(t, err)
		w, err := chanadapter.Process(child.Pid)
		require.NoError(t, err)
		all.Go(func() {
			defer w.Close()
			ok := wait(w.C(), "a child")
			// Wait does not block any more, so it takes no thread for long.
			state, err := child.Wait()
			mu.Lock()
			defer mu.Unlock()
			children.Wakeups++
			if err != nil || !state.Success() || !ok {
				children.Lost++
			}
		})
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o666))
		most = max(most, report.Threads(t))
	}
	all.Wait()
	most = max(most, report.Threads(t))
	for _, row := range []report.Row{children, timers, inotified} {
		row.Threads = fmt.Sprintf("%d before, %d at most", before, most)
		row.Write(t)
		require.Zero(t, row.Lost)
	}
	// The runtime has some more whenever it likes, as on a busy machine, where each system
	// call takes long; a thread each would be three times as many.
	require.Less(t, most-before, each)
}

// created reads inotify events until there are no more, and returns how many.
func created(t *testing.T, fd int) (n int) {
	var b [1 << 14]byte
	for {
		size, err := unix.Read(fd, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			if err != unix.EAGAIN {
				t.Error(err)
			}
			return n
		}
		for at := 0; at < size; n++ {
			at += unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[at+12:]))
		}
	}
}
