//go:build unix && !linux && !darwin && !dragonfly && !freebsd

package notifier

// This file says what the other unixes have (AIX, illumos, NetBSD, OpenBSD, Solaris):
// the self-pipe. NetBSD's kqueue has EVFILT_USER since 10, but golang.org/x/sys does
// not know it. OpenBSD can zero memory in a forked child (minherit(2)), but system
// calls must go through libc there, and golang.org/x/sys has no way to that one: a
// block's header has the process id.

var backends = []backend{{"pipe", kindPipe, openPipe}}
