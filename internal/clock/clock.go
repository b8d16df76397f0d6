//go:build !windows

// Package clock is a monotonic clock that steps by less than a microsecond, for
// those who linger for some of them.
package clock

import "time"

var start = time.Now()

// Now is the time since some moment before the program's first use of it. Go's own
// clock is fine enough here.
func Now() time.Duration { return time.Since(start) }
