//go:build !linux && !windows

package breath

// This file holds the pause of other systems. kqueue(2) waits with the precision of its
// clock, so that a short sleep is one. Elsewhere it is not, and nobody pauses.

import (
	"errors"
	"runtime"
	"time"
)

// every is how long a goroutine may spin before it should pause.
const every = 12 * time.Microsecond

type sleep struct{}

func (sleep) park() bool {
	time.Sleep(time.Microsecond)
	return true
}

func open() (parker, error) {
	switch runtime.GOOS {
	case "darwin", "ios", "freebsd", "dragonfly", "netbsd", "openbsd":
		return sleep{}, nil
	}
	return nil, errors.ErrUnsupported
}
