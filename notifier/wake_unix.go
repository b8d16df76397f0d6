//go:build unix && !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package notifier

// This file says what the other unixes have (AIX, illumos, Solaris): the
// self-pipe.

var backends = []backend{{"pipe", kindPipe, openPipe}}
