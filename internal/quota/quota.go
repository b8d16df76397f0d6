// Package quota knows whether the process may use the processors that it sees.
package quota

import "time"

// Linger returns how long to linger by default, where it would be d: not at all where
// the process may use less than two processors. There spinning would use up what the
// program may have, and the system would stop all of it for a while.
func Linger(d time.Duration) time.Duration { return lingerWith(processors(), d) }

func lingerWith(processors float64, d time.Duration) time.Duration {
	if processors < 2 {
		return 0
	}
	return d
}
