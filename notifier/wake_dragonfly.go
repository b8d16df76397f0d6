package notifier

// This file says what DragonFly BSD has: EVFILT_USER (kqueue(2)), and the
// self-pipe.

var backends = []backend{
	{"kqueue", kindKqueue, openKqueue},
	{"pipe", kindPipe, openPipe},
}
