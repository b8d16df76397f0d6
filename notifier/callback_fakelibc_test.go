//go:build wakechan_fakelibc && linux && gc && (amd64 || arm64)

package notifier

// This file has the doorbells for macOS' C functions on Linux: a pipe, and another one
// in the place of a kqueue, to which callback_fakelibc_*.s writes the events.

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	fakeLibc       = true
	callbackStates = 200000
	testPIDs       = true
)

func init() { errno = &fakeErrno }

func testBells(t testing.TB) []testBell {
	var bells []testBell
	for _, kind := range []uint32{kindPipe, kindKqueue} {
		var pipe [2]int
		require.NoError(t, unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
		_, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, 4096)
		require.NoError(t, err)
		t.Cleanup(func() {
			_ = unix.Close(pipe[0])
			_ = unix.Close(pipe[1])
		})
		bells = append(bells, testBell{kind, uint32(pipe[1]), func() { fillPipe(t, pipe[1]) }, func() string { return takePipe(t, pipe[0]) }})
	}
	return bells
}

// trigger is a struct kevent of macOS: EV_SET(&event, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0).
var trigger = append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(make([]byte, 8), 0xfff6), 0x01000000),
	bytes.Repeat([]byte{0}, 16)...)

// A full pipe is EAGAIN, which of a kevent is an error.
func signalBell(kind, descriptor uint32) bool {
	fd := int(int32(descriptor))
	switch kind {
	case kindPipe:
		_, err := unix.Write(fd, []byte{0})
		return err == nil || err == unix.EAGAIN
	case kindKqueue:
		_, err := unix.Write(fd, trigger)
		return err == nil
	}
	return false
}
