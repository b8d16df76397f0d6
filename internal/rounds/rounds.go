// Package rounds holds how often a poller in bed looks after itself. A soak sets it
// to for ever, since what the rounds heal would hide a lost ring.
package rounds

import "time"

// Interval is read when a poller is made.
var Interval = time.Second
