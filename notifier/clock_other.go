//go:build !windows

package notifier

// This file holds the poller's clock where Go's own is fine enough for it.

import "time"

// now is the monotonic clock.
func now() time.Duration { return time.Since(processStart) }
