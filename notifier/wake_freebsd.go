package notifier

// This file says what FreeBSD has: EVFILT_USER (kqueue(2), since 8.1) and the
// self-pipe.

var backends = []backend{
	{"kqueue", kindKqueue, openKqueue},
	{"pipe", kindPipe, openPipe},
}
