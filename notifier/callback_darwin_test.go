//go:build amd64

package notifier

// Tests of one system hold only what that system alone does. Here are the doorbells
// that callback_libc_*.s signals.

import (
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

func testBells(t testing.TB) []testBell {
	opened, err := openKqueue()
	require.NoError(t, err)
	k := opened.(*kqueue)
	var pipe [2]int
	require.NoError(t, unix.Pipe(pipe[:]))
	t.Cleanup(func() {
		k.discard()
		_ = unix.Close(pipe[0])
		_ = unix.Close(pipe[1])
	})
	for _, fd := range pipe {
		require.NoError(t, unix.SetNonblock(fd, true))
	}
	return []testBell{
		{kindKqueue, k.descriptor(), nil, func() string {
			events := make([]unix.Kevent_t, 4)
			n, err := unix.Kevent(k.fd, nil, events, new(unix.Timespec))
			require.NoError(t, err)
			return fmt.Sprint(events[:n])
		}},
		{kindPipe, uint32(pipe[1]), func() { fillPipe(t, pipe[1]) }, func() string { return takePipe(t, pipe[0]) }},
		{kindPipe, uint32(pipe[0]), nil, func() string { return "" }},
	}
}

// signalBell does what notifier_signal_ of notifier.h describes.
func signalBell(kind, descriptor uint32) bool {
	fd := int(int32(descriptor))
	switch kind {
	case kindKqueue:
		return (&kqueue{fd: fd}).signal() == nil
	case kindPipe:
		_, err := unix.Write(fd, []byte{0})
		return err == nil || err == unix.EAGAIN
	}
	return false
}
