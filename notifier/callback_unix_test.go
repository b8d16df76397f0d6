//go:build gc && (linux || darwin) && (amd64 || arm64)

package notifier

// This file holds the pipes of the tests of callback_*.s.

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pipeBytes is more than the pipe of a test takes. Tests of one block use it in turn.
var pipeBytes [1 << 16]byte

// fillPipe writes until nothing fits any more.
func fillPipe(t testing.TB, fd int) {
	clear(pipeBytes[:])
	for size := len(pipeBytes); size > 0; size /= 2 {
		for {
			if _, err := unix.Write(fd, pipeBytes[:size]); err != nil {
				require.ErrorIs(t, err, unix.EAGAIN)
				break
			}
		}
	}
}

// takePipe empties a pipe and says what was in it.
func takePipe(t testing.TB, fd int) (told string) {
	for {
		n, err := unix.Read(fd, pipeBytes[:])
		if err != nil {
			if err != unix.EAGAIN {
				require.ErrorIs(t, err, unix.EAGAIN)
			}
			return told
		}
		told += fmt.Sprintf("%d bytes ", n)
		if n <= 64 {
			told += fmt.Sprintf("%x ", pipeBytes[:n])
		}
	}
}
