package breath

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// Somebody else's file at the number is neither written to nor closed, and nobody pauses
// any more.
func TestPauseWritesToNobody(t *testing.T) {
	Pause()
	require.NotNil(t, pausing.parker)
	number := -1
	require.NoError(t, pausing.parker.(*eventFD).conn.Control(func(fd uintptr) { number = int(fd) }))
	stranger, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	kept, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(stranger, number, unix.O_CLOEXEC))
	for range 3 {
		Pause()
	}
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(stranger, &st))
	assert.Zero(t, st.Size)
	assert.True(t, pausing.broken)
	for range 2 { // what the first finds to be garbage may be closed by then, or by the second
		collected := make(chan struct{}, 1)
		runtime.AddCleanup(&struct{ p *int }{}, func(c chan struct{}) { c <- struct{}{} }, collected)
		runtime.GC()
		testenv.Receive(t, collected)
	}
	assert.NoError(t, unix.Fstat(number, &st))
	require.NoError(t, unix.Dup3(kept, number, unix.O_CLOEXEC))
	require.NoError(t, unix.Close(kept))
	require.NoError(t, unix.Close(stranger))
	pausing.tried, pausing.broken = false, false
	Pause()
	assert.False(t, pausing.broken)
}

// wrecks have a number that is another file's: collecting one would close that.
var wrecks []parker

// Whoever closes the number of a goroutine that is parked there does not leave it so.
func TestPauseEndsWithoutItsNumber(t *testing.T) {
	stranger, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	for range 10 { // the kernel may be quicker
		p, err := open()
		require.NoError(t, err)
		wrecks = append(wrecks, p)
		e := p.(*eventFD)
		e.turn = func(fd uintptr) bool {
			done := e.step(fd)
			if !done {
				assert.NoError(t, unix.Dup3(stranger, int(fd), unix.O_CLOEXEC))
			}
			return done
		}
		ended := make(chan struct{}, 1)
		go func() {
			p.park()
			ended <- struct{}{}
		}()
		testenv.Receive(t, ended)
		require.False(t, p.park(), "it has no eventfd any more")
	}
	require.NoError(t, unix.Close(stranger))
}
