// Package selfcheck holds how often a poller that is asleep looks after itself. A soak sets it
// to for ever, since what the self-check heals would hide a lost signal.
package selfcheck

import "time"

// Interval is read when a poller is made.
var Interval = time.Second
