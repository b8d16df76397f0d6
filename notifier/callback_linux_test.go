//go:build gc && (amd64 || arm64) && !wakechan_fakelibc

package notifier

// Tests of one system hold only what that system alone does. Here are the doorbells
// that callback_linux_*.s signals.

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	fakeLibc       = false
	callbackStates = 200000
	testPIDs       = true // a block's process id is looked at
)

// testBells makes the doorbells, and one that is none: an eventfd, a pipe, and the
// pipe's end for reading.
func testBells(t testing.TB) []testBell {
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	var pipe [2]int
	require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	_, err = unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, 4096)
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, fd := range []int{event, pipe[0], pipe[1]} {
			_ = unix.Close(fd)
		}
	})
	return []testBell{
		{kindEventFD, uint32(event), func() {
			_, err := unix.Write(event, binary.NativeEndian.AppendUint64(nil, ^uint64(0)-1))
			require.NoError(t, err)
		}, func() string {
			var count [8]byte
			if _, err := unix.Read(event, count[:]); err == unix.EAGAIN {
				return ""
			} else if err != nil {
				require.NoError(t, err)
			}
			return fmt.Sprint(binary.NativeEndian.Uint64(count[:]))
		}},
		{kindPipe, uint32(pipe[1]), func() { fillPipe(t, pipe[1]) }, func() string { return takePipe(t, pipe[0]) }},
		{kindPipe, uint32(pipe[0]), nil, func() string { return "" }},
	}
}

// signalBell does what notifier_signal_ of notifier.h describes.
func signalBell(kind, descriptor uint32) bool {
	fd := int(int32(descriptor))
	switch kind {
	case kindEventFD:
		_, err := unix.Write(fd, one)
		if err != unix.EAGAIN {
			return err == nil
		}
		if _, err := unix.Read(fd, make([]byte, 8)); err != nil && err != unix.EAGAIN {
			return false
		}
		_, err = unix.Write(fd, one)
		return err == nil || err == unix.EAGAIN
	case kindPipe:
		_, err := unix.Write(fd, []byte{0})
		return err == nil || err == unix.EAGAIN
	}
	return false
}
