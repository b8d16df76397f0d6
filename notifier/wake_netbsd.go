package notifier

// This file says what NetBSD has: the self-pipe. Its kqueue has EVFILT_USER since
// 10, but golang.org/x/sys does not know it.

var backends = []backend{{"pipe", kindPipe, openPipe}}
