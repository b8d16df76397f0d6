//go:build unix

// Package identity tells a descriptor of the library's own from what somebody may have
// put at its number since: close, or dup2, by code that takes a number for its own.
package identity

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// File is one open file as it was when its number was noted.
//
// fstat(2) tells files, pipes and sockets apart, but not eventfds, epoll sets, timers,
// signalfds and inotify: on Linux all of them have one inode. So the file gets a mark
// where the system has one (mark_linux.go). A number that the library itself has noted
// anew since, for another file, is told by the list of who has which.
type File struct {
	fd             int
	dev, ino, mode uint64
	mark           int
}

var noted struct {
	mu    sync.Mutex
	files map[int]*File
}

// Note returns the identity of the file that is at fd now. It is for descriptors that
// the library made, and of which nobody else has a duplicate.
func Note(fd int) (*File, error) {
	f := &File{fd: fd}
	var err error
	if f.dev, f.ino, f.mode, err = stat(fd); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	f.mark = mark(fd)
	noted.mu.Lock()
	defer noted.mu.Unlock()
	if noted.files == nil {
		noted.files = map[int]*File{}
	}
	noted.files[fd] = f
	return f, nil
}

// Check returns an error if the file is not at its number any more, or if that cannot
// be told. It changes nothing, whatever is there now.
func (f *File) Check() error {
	marked := f.Marked() // first: whoever closes it in between has closed it
	dev, ino, mode, err := stat(f.fd)
	switch {
	case errors.Is(err, unix.EBADF):
		return fmt.Errorf("somebody closed descriptor %d: %w", f.fd, err)
	case err != nil:
		return fmt.Errorf("cannot tell what descriptor %d is: %w", f.fd, err)
	}
	if dev != f.dev || ino != f.ino || mode != f.mode || !marked {
		return fmt.Errorf("somebody put another file at descriptor %d: %w", f.fd, unix.EBADF)
	}
	return nil
}

// Marked is a part of Check, for who looks often: it reports whether the file at the number
// has the mark, if there are marks, and was not noted anew.
func (f *File) Marked() bool {
	noted.mu.Lock()
	latest := noted.files[f.fd] == f
	noted.mu.Unlock()
	return latest && marked(f.fd, f.mark)
}

func stat(fd int) (dev, ino, mode uint64, err error) {
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return uint64(st.Dev), uint64(st.Ino), uint64(st.Mode), err
}
