package notifier

// This file says what macOS and iOS have: a kqueue of our own (wake_kqueue.go),
// and the self-pipe in the runtime's. Their kernel has no way to zero memory in
// a forked child, so a block's header has the process id (internal/forked).

var backends = []backend{
	{"kqueue", kindKqueue, openKqueue},
	{"pipe", kindPipe, openPipe},
}
