package notifier

// Tests of one system hold only what that system alone does. This file holds what only
// an eventfd does; how it breaks is in fault_linux_test.go.

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

// Whoever fills the counter again, between signal's read and its second write, has made the
// edge that signal was for: it is no failure.
func TestDoorbellIsFilledAgain(t *testing.T) {
	bell, err := openEventFD()
	require.NoError(t, err)
	defer bell.discard()
	fd := int(bell.descriptor())
	full := binary.NativeEndian.AppendUint64(nil, ^uint64(1)) // as much as it can hold
	var stop atomic.Bool
	var filling sync.WaitGroup
	filling.Go(func() {
		var count [8]byte
		for !stop.Load() {
			_, _ = unix.Read(fd, count[:]) // what signal has written would leave no room for it
			_ = write(fd, full)
		}
	})
	defer filling.Wait()
	defer stop.Store(true)
	for range testenv.Times(100_000) {
		require.NoError(t, bell.signal())
	}
}
