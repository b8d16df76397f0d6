// Package bubble tells whether a goroutine runs in a testing/synctest bubble. A
// bubble's channels must never be touched from outside: that ends the process.
package bubble

import "time"

var processStart = time.Now()

// In reports whether the caller runs in a testing/synctest bubble. There is no
// call for it, but a bubble's clock starts at midnight 2000-01-01 in nanoseconds
// since 1970, where a process's monotonic clock counts from a recent boot: so no
// process outside of a bubble has an age of decades.
func In() bool {
	const decades = 20 * 365 * 24 * time.Hour
	return time.Since(processStart) > decades
}
