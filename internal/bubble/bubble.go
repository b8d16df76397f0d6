// Package bubble tells whether a goroutine runs in a testing/synctest bubble. A
// bubble's channels must never be touched from outside: that ends the process.
package bubble

import "time"

var processStart = time.Now()

// In reports whether the caller runs in a testing/synctest bubble. There is no
// call for it. But time.Now has a monotonic reading everywhere else, unless the
// system's clock is out of the years that a Time has room for beside one (1885 to
// 2157); and a bubble's clock, whose readings are nanoseconds since 1970 where
// others count from a recent boot, starts in 2000.
func In() bool {
	now := time.Now()
	if now == now.Round(0) { // which strips the monotonic reading
		year := now.Year()
		return 2000 <= year && year < 2157
	}
	const decades = 20 * 365 * 24 * time.Hour
	return now.Sub(processStart) > decades
}
