package notifier

// This file holds what the tests must know of each of Linux's doorbells, beside what the
// suite asks of all. A new doorbell is added here, in wake_linux.go, and to what
// TestBackends expects.

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fillers make a doorbell's descriptor take no more signals. A doorbell that cannot be
// full has none.
var fillers = map[string]func(t *testing.T, fd int){
	"eventfd": func(t *testing.T, fd int) {
		var count [8]byte
		_, _ = unix.Read(fd, count[:])
		_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1<<64-2))
		require.NoError(t, err)
	},
	"pipe": func(t *testing.T, fd int) {
		// The poller empties it meanwhile, if it can.
		for bytes := make([]byte, 1<<20); ; {
			if _, err := unix.Write(fd, bytes); err != nil {
				require.ErrorIs(t, err, unix.EAGAIN)
				return
			}
		}
	},
}

// takesThread has the doorbells whose pollers block a thread each.
var takesThread = map[string]bool{}

// descriptorsOf returns a doorbell's.
func descriptorsOf(bell doorbell) []int {
	switch bell := bell.(type) {
	case *eventFD:
		return []int{bell.fd}
	case *pipe:
		return []int{bell.fd, bell.w}
	}
	return nil
}
