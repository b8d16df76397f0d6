//go:build darwin || dragonfly || freebsd

package notifier

// This file holds the kqueue doorbell: one EVFILT_USER event, which signalling
// triggers and a thread blocked in kevent takes out of the queue. Which systems
// offer it, and in which order, is in wake_darwin.go and its like.

import (
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/clock"
)

type kqueue struct {
	fd   int
	mark int // the ident of a second event, by which check knows the queue
}

var _ doorbell = (*kqueue)(nil)

// The calls by which one is made are variables for tests.
var (
	makeKqueue = unix.Kqueue
	addEvent   = (*kqueue).change
)

func openKqueue() (doorbell, error) {
	// There is no flag for close-on-exec everywhere, so no fork may come between.
	syscall.ForkLock.RLock()
	fd, err := makeKqueue()
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	k := &kqueue{fd, 1<<30 | rand.IntN(1<<30)}
	// EV_CLEAR: taking the event resets it, so that a signal while the poller is
	// awake is there when it falls asleep, once.
	for _, ident := range []int{0, k.mark} {
		if err := addEvent(k, ident, unix.EV_ADD|unix.EV_CLEAR, 0); err != nil {
			k.discard()
			return nil, err
		}
	}
	return k, nil
}

func (k *kqueue) descriptor() uint32 { return uint32(k.fd) }

// signal triggers the event that notifier.h knows: ident 0.
func (k *kqueue) signal() error { return k.change(0, 0, unix.NOTE_TRIGGER) }

// change registers or touches an event; it returns at once, since there is no
// room for events.
func (k *kqueue) change(ident, flags int, fflags uint32) error {
	event := make([]unix.Kevent_t, 1)
	unix.SetKevent(&event[0], ident, unix.EVFILT_USER, flags)
	event[0].Fflags = fflags
	for {
		if _, err := unix.Kevent(k.fd, event, nil, nil); err != unix.EINTR {
			return os.NewSyscallError("kevent", err)
		}
	}
}

// wait blocks a thread: the runtime's own kqueue cannot wait for another one
// through package os, which wants a descriptor that takes O_NONBLOCK.
func (k *kqueue) wait(look func() bool, limit time.Duration) error {
	var taken [1]unix.Kevent_t
	for end := clock.Now() + limit; !look(); {
		if err := k.check(); err != nil { // before anything is taken out of it
			return err
		}
		timeout := unix.NsecToTimespec(int64(max(end-clock.Now(), 0)))
		switch n, err := unix.Kevent(k.fd, nil, taken[:], &timeout); {
		case err == unix.EINTR: // a signal for this thread: look again, for the rest of the time
		case err != nil:
			return os.NewSyscallError("kevent", err) // EBADF: somebody closed it
		case n == 0:
			return errSelfCheck
		}
	}
	return nil
}

// check touches the mark without triggering it: ENOENT when the descriptor is
// another kqueue, EBADF when it is none. Ident 0 would not do, which others use for
// their own doorbells: theirs would look like ours, and touching it takes its data away.
func (k *kqueue) check() error {
	if err := k.change(k.mark, 0, 0); err != nil {
		return fmt.Errorf("somebody closed or replaced descriptor %d: %w", k.fd, err)
	}
	return nil
}

func (k *kqueue) discard() { _ = unix.Close(k.fd) }
