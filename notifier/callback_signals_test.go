//go:build gc && linux && (amd64 || arm64) && !wakechan_fakelibc

package notifier

// Tests of one system hold only what that system alone does. Here are the signals of
// callback_stress_test.go.

import (
	"os"

	"golang.org/x/sys/unix"
)

func init() {
	signals := []unix.Signal{unix.SIGURG, unix.SIGPROF, unix.SIGWINCH}
	sendSignal = func(i int) { _ = unix.Kill(os.Getpid(), signals[i%len(signals)]) }
}
