package identity

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

// replacements are what may come to be at a descriptor's number, by a name.
func replacements(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	add := func(name string, fd int, err error) {
		if assert.NoError(t, err, name) {
			all[name] = fd
			t.Cleanup(func() { _ = unix.Close(fd) })
		}
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	add("eventfd", fd, err)
	fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	add("epoll", fd, err)
	fd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	add("timerfd", fd, err)
	fd, err = unix.InotifyInit1(unix.IN_CLOEXEC)
	add("inotify", fd, err)
	fd, err = unix.Signalfd(-1, &unix.Sigset_t{}, unix.SFD_CLOEXEC)
	add("signalfd", fd, err)
	fd, err = unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	add("memfd", fd, err)
	fd, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	add("file", fd, err)
	var ends [2]int
	require.NoError(t, unix.Pipe2(ends[:], unix.O_CLOEXEC))
	add("reading end", ends[0], nil)
	add("writing end", ends[1], nil)
	return all
}

// Whatever is put at the number of whatever is noticed; the file itself, put back, is
// what it was.
func TestReplaced(t *testing.T) {
	for name, fd := range replacements(t) {
		f, err := Note(fd)
		require.NoError(t, err, name)
		require.NoError(t, f.Check(), name)
		kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		for other, stranger := range replacements(t) {
			require.NoError(t, unix.Dup3(stranger, fd, unix.O_CLOEXEC))
			assert.ErrorIs(t, f.Check(), unix.EBADF, "%s instead of %s", other, name)
		}
		require.NoError(t, unix.Close(fd))
		assert.ErrorContains(t, f.Check(), "somebody closed descriptor", name)
		require.NoError(t, unix.Dup3(kept, fd, unix.O_CLOEXEC))
		assert.NoError(t, f.Check(), name)
		require.NoError(t, unix.Close(kept))
	}
}

// One that the library itself has made since is another, though its mark may be the
// same.
func TestNotedAnew(t *testing.T) {
	time.AfterFunc(time.Hour, func() {}).Stop() // with the first of all the runtime opens descriptors, which could have this number
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	first, err := Note(fd)
	require.NoError(t, err)
	for range 130 {
		require.NoError(t, unix.Close(fd))
		again, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		require.NoError(t, err)
		require.Equal(t, fd, again)
		next, err := Note(again)
		require.NoError(t, err)
		require.ErrorIs(t, first.Check(), unix.EBADF)
		require.NoError(t, next.Check())
	}
	require.NoError(t, unix.Close(fd))
}
