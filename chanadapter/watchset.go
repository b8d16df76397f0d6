package chanadapter

// This file holds the goroutine that all Watchers share, the tables by which it
// finds them, and what must hold when descriptor numbers are used again behind
// our back. It knows the system only through multiplexer; the systems' halves
// are in watch_*.go: calls and errno, no policy.

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

// multiplexer is what a system offers to wait for many descriptors (on Windows
// handles) at once. Every watch_*.go meets it.
//
// A registration is of a number and the file that the number named at that time,
// as in epoll(7): a number that was closed and used again is another one. add,
// modify and remove are never called concurrently; wait is called by one
// goroutine, concurrently with them.
type multiplexer interface {
	// add makes a registration. It returns errRegistered if there is one of the
	// same number and file, and otherwise a refusal or the system's error.
	add(fd uintptr, key uintptr, i interest) error

	// modify replaces the registration of fd, and looks anew: if it is ready
	// now it is found, again if need be. It returns errGone if there is none.
	modify(fd uintptr, key uintptr, i interest) error

	// remove ends the registration of fd, if it is there. Afterwards nothing
	// touches the descriptor; the key may still be found for a while.
	remove(fd uintptr, key uintptr)

	// abandon frees what add kept for the key, if anything. It is called in place
	// of remove when the number is another registration's by now.
	abandon(key uintptr)

	// wait calls found for what becomes ready. It returns nil after shut, and
	// an error when it cannot go on. It looks after its own descriptor at least
	// every watchInterval: one that somebody closed would never wake it.
	wait(found func(key uintptr, e Events)) error

	// shut makes wait return.
	shut()

	// free gives back the descriptor, after wait has returned for the last
	// time; broken says that its number may be another's by now.
	free(broken bool)
}

var (
	errRegistered error = &refusal{"it is watched already", syscall.EEXIST}
	errGone       error = &refusal{"its owner closed it while it was watched", errBadDescriptor}
)

// refusal is why a descriptor is not watched, in words, with the system's error.
type refusal struct {
	why   string
	errno error
}

func (r *refusal) Error() string { return r.why + ": " + r.errno.Error() }
func (r *refusal) Unwrap() error { return r.errno }

// watchSet is a multiplexer with its goroutine and its Watchers.
type watchSet struct {
	mux    multiplexer
	exited chan struct{} // closed by the goroutine

	mu sync.Mutex
	// byKey has the Watchers that may get tokens. A key is not used again, so
	// what the kernel still had for a closed one finds nothing. 0 is no key.
	byKey map[uintptr]*Watcher
	// byFD has whose registration a number's is. Only its Watcher may modify
	// or remove it: another one's number was closed and given to another file.
	byFD map[uintptr]*Watcher
}

// process is the set that all Watchers share: made by the first, and shut when
// there is none left.
var process struct {
	mu   sync.Mutex
	set  *watchSet
	keys uintptr
}

// watchInterval is how often a multiplexer looks whether its descriptor is still
// its own.
var watchInterval = time.Second

// enlist begins w's watch, and starts the goroutine if there is none.
func enlist(w *Watcher) error {
	process.mu.Lock()
	s := process.set
	if s == nil {
		mux, err := newMultiplexer()
		if err != nil {
			process.mu.Unlock()
			return fmt.Errorf("chanadapter: cannot watch descriptors: %w", err)
		}
		s = &watchSet{
			mux:    mux,
			exited: make(chan struct{}),
			byKey:  map[uintptr]*Watcher{},
			byFD:   map[uintptr]*Watcher{},
		}
		process.set = s
		go s.run() // never in a synctest bubble: Watch refuses there
	}
	w.set, w.key = s, s.freshKey()
	err := s.add(w)
	last := s.detach()
	process.mu.Unlock()
	if last {
		s.stop()
	}
	return err
}

// freshKey returns a key that was not used before; on a 32-bit system not in the
// last four billion watches. process.mu is held.
func (s *watchSet) freshKey() uintptr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		process.keys++
		if process.keys != 0 && s.byKey[process.keys] == nil {
			return process.keys
		}
	}
}

// discharge ends w's watch for good, and the goroutine if it was the last.
func discharge(w *Watcher) {
	s := w.set
	process.mu.Lock()
	s.remove(w)
	last := s.detach()
	process.mu.Unlock()
	if last {
		s.stop()
	}
}

// detach makes way for a new set if s has no Watcher left. It reports whether it
// was the caller who did. process.mu is held.
func (s *watchSet) detach() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if process.set != s || len(s.byKey) != 0 {
		return false
	}
	process.set = nil
	return true
}

// stop ends the goroutine of a set that was detached.
func (s *watchSet) stop() {
	s.mux.shut()
	<-s.exited
	s.mux.free(false)
}

func (s *watchSet) add(w *Watcher) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The entry comes first: the goroutine may find it ready at once.
	s.byKey[w.key] = w
	before := s.byFD[w.fd]
	err := s.mux.add(w.fd, w.key, w.interest)
	if err == errRegistered && before == nil {
		// A Watcher's whose descriptor was closed before it was, so that the
		// registration could not be removed, and lived on with a duplicate
		// which was now put back in its place: take it over.
		err = s.mux.modify(w.fd, w.key, w.interest)
	}
	if err != nil {
		delete(s.byKey, w.key)
		return fmt.Errorf("chanadapter: cannot watch %s %d: %w", thing, int(w.fd), err)
	}
	if before != nil {
		// The system took the number as new, so it names another file now.
		_ = s.lose(before)
	}
	s.byFD[w.fd] = w
	return nil
}

// lose ends w because its descriptor's number is another file's. s.mu is held.
func (s *watchSet) lose(w *Watcher) error {
	err := fmt.Errorf("chanadapter: %s %d is not watched any more: %w", thing, int(w.fd), errGone)
	s.forget(w)
	s.mux.abandon(w.key)
	w.end(err)
	return err
}

// forget removes w from the tables, and reports whether its number was still
// its own. s.mu is held.
func (s *watchSet) forget(w *Watcher) bool {
	delete(s.byKey, w.key)
	if s.byFD[w.fd] != w {
		return false
	}
	delete(s.byFD, w.fd)
	return true
}

func (s *watchSet) remove(w *Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget(w) {
		s.mux.remove(w.fd, w.key)
	}
	w.end(nil)
}

func (s *watchSet) rearm(w *Watcher) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[w.key] != w {
		return w.Err()
	}
	err := s.mux.modify(w.fd, w.key, w.interest)
	if err == errGone {
		return s.lose(w)
	}
	if err != nil {
		return fmt.Errorf("chanadapter: cannot rearm %s %d: %w", thing, int(w.fd), err)
	}
	return nil
}

// run is the goroutine.
func (s *watchSet) run() {
	defer close(s.exited)
	if err := s.mux.wait(s.found); err != nil {
		s.fail(fmt.Errorf("chanadapter: the watching of %ss broke: %w", thing, err))
	}
}

func (s *watchSet) found(key uintptr, e Events) {
	s.mu.Lock()
	w := s.byKey[key]
	s.mu.Unlock()
	if w != nil {
		w.announce(e)
	}
}

// fail ends all Watchers with a reason. The next Watch makes a new set.
func (s *watchSet) fail(err error) {
	process.mu.Lock()
	if process.set != s {
		process.mu.Unlock()
		return // stop is about to do the rest
	}
	process.set = nil
	process.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.byKey {
		w.end(err)
	}
	clear(s.byKey)
	clear(s.byFD)
	s.mux.free(true)
}
