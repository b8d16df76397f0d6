package notifier

// This file holds a doorbell made of Go's own: the conformance suite runs on it
// on systems that have no other, and it fails when it is told to.

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

type fakeBell struct {
	signalled chan struct{}
	signals   atomic.Int64 // that did not fail

	// put counts what went into signalled, taken what the poller had taken out when it
	// last fell asleep: as long as they are equal, it sleeps.
	put, taken atomic.Int64
	got        int64 // the poller's

	broken  atomic.Pointer[error] // what signal returns
	checked atomic.Pointer[error] // what check returns, and wait after a signal
}

var _ doorbell = (*fakeBell)(nil)

func (b *fakeBell) descriptor() uint32 { return 0 }

func (b *fakeBell) signal() error {
	if err := b.broken.Load(); err != nil {
		return *err
	}
	b.signals.Add(1)
	select {
	case b.signalled <- struct{}{}:
		b.put.Add(1)
	default:
	}
	return nil
}

func (b *fakeBell) wait(look func() bool, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for !look() {
		b.taken.Store(b.got)
		select {
		case <-b.signalled:
			b.got++
		case <-timer.C:
			return errSelfCheck
		}
		if err := b.check(); err != nil {
			return err
		}
	}
	return nil
}

func (b *fakeBell) check() error {
	if err := b.checked.Load(); err != nil {
		return *err
	}
	return nil
}

func (b *fakeBell) discard() {}

// fakePoller returns a poller with a fake doorbell. Its memory is that of the
// last one that was closed, if there is one.
func fakePoller(t testing.TB) (*Poller, *fakeBell) {
	t.Helper()
	idle.mu.Lock()
	var s *readySet
	if list := idle.sets["fake"]; len(list) > 0 {
		s = list[len(list)-1]
		idle.sets["fake"] = list[:len(list)-1]
	}
	idle.mu.Unlock()
	if s == nil {
		s = fakeSet(t)
	}
	bell := s.bell.(*fakeBell)
	bell.taken.Store(-1) // this poller has not slept yet
	bell.signals.Store(0)
	bell.broken.Store(nil)
	bell.checked.Store(nil)
	p := pollerOf(t, s, "fake")
	// A test that ends early must be able to close it.
	t.Cleanup(func() { bell.broken.Store(nil) })
	return p, bell
}

// freshPoller is one whose ready set nobody has used, nor will: tests may do
// strange things to its books.
func freshPoller(t testing.TB) *Poller {
	t.Helper()
	return pollerOf(t, fakeSet(t), "fresh")
}

func fakeSet(t testing.TB) *readySet {
	t.Helper()
	bell := &fakeBell{signalled: make(chan struct{}, 1)}
	bell.taken.Store(-1)
	s, err := newReadySet(bell, kindLoop, 0)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system has no memory for a ready set")
	} else if err != nil {
		t.Fatal(err)
	}
	return s
}

func pollerOf(t testing.TB, s *readySet, name string) *Poller {
	return kept(t, &Poller{set: s, backend: name, lingering: lingering{ceiling: DefaultLinger}, watch: 24 * time.Hour, grace: 24 * time.Hour, members: map[*Notifier]struct{}{}})
}

// wordOf returns a word of the block by its number.
func wordOf(b *block, i uint32) *uint32 {
	return (*uint32)(unsafe.Add(unsafe.Pointer(b), uintptr(i)*4))
}
