package chanadapter

// This file holds Process: a pidfd or a process handle, watched. The system's calls are
// in process_*.go.

import "fmt"

// Process returns a Watcher that gets one token when process pid has ended. It
// need not be a child. It has a descriptor (on Windows a handle) of its own, and
// Close closes that.
//
// It does not reap: a child's exit status is there for os.Process.Wait or the
// like, which does not block once the token came. On Linux a process that has
// ended but is not reaped yet can be watched too: there is a token at once.
//
// The error says so if there is no process pid, if that is a thread of one, or if no
// process can have that number: 0, a negative one, or one of more than 32 bits. It
// matches [errors.ErrUnsupported] where the system has no such thing: Linux before 5.3, a
// sandbox that denies pidfd_open(2), and anything but Linux and Windows.
func Process(pid int) (*Watcher, error) {
	fd, err := openProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("chanadapter: %w", err)
	}
	free := func() { closeProcess(fd) }
	// One-shot: some kernels announce the reaping as well.
	w, err := watch(fd, free, nil, []Option{OneShot()})
	if err != nil {
		free()
		return nil, err
	}
	return w, nil
}
