//go:build dragonfly || freebsd

package notifier

// This file says what DragonFly BSD and FreeBSD have: EVFILT_USER (kqueue(2)) and the
// self-pipe.

var backends = []backend{
	{"kqueue", kindKqueue, openKqueue},
	{"pipe", kindPipe, openPipe},
}
