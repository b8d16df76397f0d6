package chanadapter

// This file holds the goroutine that watches, the tables by which it finds the
// Watchers, and what must hold when descriptor numbers are used again behind our
// back. It knows the system only through multiplexer; the systems' halves are in
// watch_*.go: calls and errno, no policy.

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wakechan/wakechan/internal/unlabelled"
)

// multiplexer is what a system offers to wait for many descriptors (on Windows
// handles) at once. Every watch_*.go meets it.
//
// A registration is of a number and the file that the number named at that time,
// as in epoll(7): a number that was closed and used again is another one. All
// methods but wait and shut are never called concurrently, and may block as long as
// the descriptor's own poll does; wait is called by one goroutine, concurrently with
// them, except for renew and free.
type multiplexer interface {
	// add makes a registration. It returns errRegistered if there is one of the
	// same number and file, and otherwise a refusal or the system's error; and
	// what it found ready that wait will not find.
	add(fd, key uintptr, i wish) (Events, error)

	// modify replaces the registration of fd, and looks anew: if it is ready
	// now it is found, again if need be, by wait or in what modify returns. It
	// returns errGone if there is no registration.
	modify(fd, key uintptr, i wish) (Events, error)

	// remove ends the registration of fd, if it is there. Afterwards nothing
	// touches the descriptor; the key may still be found for a while. orphan says
	// that it may go on being found for ever, since the system has no way to end it.
	remove(fd, key uintptr) (orphan bool)

	// abandon frees what add kept for the key, if anything. It is called in place
	// of remove when the number is another file's by now. orphan is as for remove.
	abandon(key uintptr) (orphan bool)

	// registered reports whether fd is registered still, as the file that it
	// was added for.
	registered(fd, key uintptr) bool

	// renew gives up all registrations, those that could not be removed too. It is
	// called only if there are orphans.
	renew() error

	// wait calls found for what becomes ready. It returns nil after shut and when
	// found returns false, and an error when it cannot go on. It looks after its
	// own descriptor at least every watchInterval: one that somebody closed would
	// never wake it.
	wait(found func(key uintptr, e Events) (goOn bool)) error

	// shut makes wait return.
	shut()

	// free gives back the descriptor, after wait has returned for the last
	// time, unless its number is another's by now.
	free()
}

// collector is a multiplexer that can make the own set of a group. There whoever ranges
// over the group's Ready takes out what is ready, and the goroutine only puts the token:
// it is woken once for all that becomes ready until then.
type collector interface {
	multiplexer

	// collect calls found for what is ready, without blocking. Of such a set, wait
	// calls found(0, 0) when there is something, and not again until collect. It is
	// not called concurrently with itself, renew or free.
	collect(found func(key uintptr, e Events) (goOn bool)) error
}

// wish is what is asked of the system for a registration: the interest of all its
// Watchers.
type wish struct {
	interest
	hangUp bool // somebody is to be told if the other side closes for writing
}

// kind says which set a descriptor belongs into. What it is for is each system's.
type kind struct {
	set     string
	forgets bool // looking at it makes it forget what it had to say

	collects bool   // the multiplexer is a collector
	group    *Group // whose own set it is; or nil
}

var (
	errRegistered error = &refusal{"it is watched already", syscall.EEXIST}
	errGone       error = &refusal{"its owner closed it while it was watched", errBadDescriptor}

	// errBroken is for add and modify, which find out before wait does.
	errBroken = errors.New("somebody closed or replaced the descriptor that it waits on")
)

// refusal is why a descriptor is not watched, in words, with the system's error.
type refusal struct {
	why   string
	errno error
}

func (r *refusal) Error() string { return r.why + ": " + r.errno.Error() }
func (r *refusal) Unwrap() error { return r.errno }

// registration is a descriptor that is watched, and its Watchers.
type registration struct {
	set     *watchSet
	fd      uintptr
	key     uintptr // names it to the kernel; see watchSet.byKey
	forgets bool

	// watchers is replaced, and not changed, when one comes or goes: whoever has
	// it may go through it without a lock. Under the set's mu.
	watchers []*Watcher
	alone    [1]*Watcher // what watchers is at first

	// unverified counts what was found since it was last certain that the number
	// still names the file. Under the set's mu.
	unverified int
}

// watchSet is a multiplexer with its goroutine and its Watchers.
type watchSet struct {
	kind   kind
	mux    multiplexer
	users  int           // Watchers, and those that are being made; under process.mu
	exited chan struct{} // closed by the goroutine

	// found is find, made a value once: collect allocates nothing.
	found func(key uintptr, e Events) (goOn bool)

	over    atomic.Bool // the goroutine is to end
	awaited bool        // endUnused frees mux, and not the goroutine; under process.mu

	// ctl is held while mux is called, which may take long: see multiplexer. Neither
	// mu nor process.mu is.
	ctl sync.Mutex

	// turn is held while mux collects, is renewed or freed. It is taken before ctl.
	turn sync.Mutex

	mu sync.Mutex // taken after ctl, and before a group's
	// byKey has the registrations whose Watchers may get tokens. A key is not used
	// again, so what the kernel still had for a closed one finds nothing. 0 is no
	// key.
	byKey map[uintptr]*registration
	// byFD has whose registration a number's is. Only that may be modified or
	// removed by it: another one's number was closed and given to another file.
	byFD    map[uintptr]*registration
	broken  error // why there is a new set by now
	orphans bool  // the kernel may have registrations that could not be removed
	strays  int   // how often one of those may have been found
}

// process has the sets of all Watchers, by kind: each made by its first Watcher, and
// shut when there is none left.
var process struct {
	mu   sync.Mutex // taken before a group's
	sets map[kind]*watchSet
	keys atomic.Uintptr
}

// watchInterval is how often a multiplexer looks whether its descriptor is still
// its own.
var watchInterval = time.Second

// suspicious is how often a registration is found ready until it is verified that
// its number still names its file, and how many strays there may be until the set is
// renewed. An owner that closed its descriptor first and has a duplicate elsewhere,
// perhaps in a child, would have the goroutine wake for nothing, for ever.
const suspicious = 64

// enlist begins w's watch of fd, and starts the goroutine if there is none.
func enlist(w *Watcher, fd uintptr) error {
	k, err := kindOf(fd)
	if k.collects && w.group != nil && w.group.size() >= largeGroup {
		own := k
		own.group = w.group
		// If there are too few descriptors for a set more, that of all will do.
		if enlistIn(own, w, fd, nil) == nil {
			return nil
		}
	}
	return enlistIn(k, w, fd, err)
}

func enlistIn(k kind, w *Watcher, fd uintptr, err error) error {
	for err == nil {
		var s *watchSet
		if s, err = acquire(k); err != nil {
			return fmt.Errorf("chanadapter: cannot watch %ss: %w", thing, err)
		}
		if err = s.add(w, fd); err == nil {
			evict(s, fd)
			return nil
		}
		s.release()
		if err == errBroken {
			err = nil
		}
	}
	return fmt.Errorf("chanadapter: cannot watch %s %d: %w", thing, int(fd), err)
}

// acquire returns the set of a kind, for one Watcher more.
func acquire(k kind) (*watchSet, error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	s := process.sets[k]
	if s == nil {
		mux, err := newMultiplexer(k)
		if err != nil {
			return nil, err
		}
		s = &watchSet{
			kind:   k,
			mux:    mux,
			exited: make(chan struct{}),
			byKey:  map[uintptr]*registration{},
			byFD:   map[uintptr]*registration{},
		}
		s.found = s.find
		if process.sets == nil {
			process.sets = map[kind]*watchSet{}
		}
		process.sets[k] = s
		if k.group != nil {
			k.group.adopt(s)
		}
		unlabelled.Go(s.run) // never in a synctest bubble: Watch refuses there
	}
	s.users++
	return s, nil
}

// release is acquire's reverse.
func (s *watchSet) release() {
	process.mu.Lock()
	s.users--
	process.mu.Unlock()
	s.endUnused()
}

// endUnused ends the goroutine if there is no Watcher left. A group keeps its own set
// as long as it has any Watchers: one that comes and goes does not make and end it each
// time.
func (s *watchSet) endUnused() {
	process.mu.Lock()
	last := s.users == 0 && process.sets[s.kind] == s && s.kind.group.size() == 0
	if last {
		delete(process.sets, s.kind) // and makes way for a new one
		s.awaited = true
	}
	process.mu.Unlock()
	if !last {
		return
	}
	s.over.Store(true)
	s.mux.shut()
	<-s.exited
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mux.free()
}

// evict ends the Watchers of fd in sets of other kinds than s's: the number names
// another file now.
func evict(s *watchSet, fd uintptr) {
	process.mu.Lock()
	var others []*watchSet
	for _, other := range process.sets {
		if other != s {
			others = append(others, other)
		}
	}
	process.mu.Unlock()
	for _, other := range others {
		other.mu.Lock()
		r := other.byFD[fd]
		other.mu.Unlock()
		if r == nil {
			continue
		}
		// Not at once: its mux may be held up by a descriptor of its own kind.
		unlabelled.Go(func() {
			other.ctl.Lock()
			defer other.ctl.Unlock()
			if other.holds(r) && !other.mux.registered(r.fd, r.key) {
				other.lose(r)
			}
		})
	}
}

// discharge ends w's watch for good, and the goroutine if it was the last.
func discharge(w *Watcher) {
	w.reg.set.remove(w)
	w.reg.set.release()
	if own := w.group.ownSet(); own != nil {
		own.endUnused()
	}
}

// freshKey returns a key that was not used before; on a 32-bit system not in the
// last four billion watches. s.mu is held.
func (s *watchSet) freshKey() uintptr {
	for {
		if key := process.keys.Add(1); key != 0 && s.byKey[key] == nil {
			return key
		}
	}
}

func (s *watchSet) add(w *Watcher, fd uintptr) error {
	s.ctl.Lock()
	defer s.ctl.Unlock()
	s.mu.Lock()
	if s.broken != nil {
		s.mu.Unlock()
		return errBroken
	}
	// The entry comes first: the goroutine may find it ready at once.
	r := &registration{set: s, fd: fd, key: s.freshKey(), forgets: s.kind.forgets, alone: [1]*Watcher{w}}
	r.watchers = r.alone[:]
	w.reg = r
	s.byKey[r.key] = r
	before := s.byFD[fd]
	s.mu.Unlock()

	found, err := s.mux.add(fd, r.key, s.wish(r))
	switch {
	case err == errRegistered && before != nil:
		return s.join(before, w)
	case err == errRegistered:
		// A Watcher's whose descriptor was closed before it was, so that the
		// registration could not be removed, and lived on with a duplicate
		// which was now put back in its place: take it over.
		found, err = s.mux.modify(fd, r.key, s.wish(r))
	}
	s.mu.Lock()
	if err == nil {
		s.byFD[fd] = r
	} else {
		delete(s.byKey, r.key)
	}
	s.mu.Unlock()
	if err == errBroken {
		_ = s.retire(err)
	}
	if err != nil {
		return err
	}
	if before != nil {
		// The system took the number as new, so it names another file now.
		s.lose(before)
	}
	s.deliver(r, found)
	return nil
}

// join makes w one more Watcher of what is registered already. Its own registration
// was never the kernel's. s.ctl is held.
func (s *watchSet) join(r *registration, w *Watcher) error {
	s.mu.Lock()
	delete(s.byKey, w.reg.key)
	w.reg = r
	r.watchers = append(slices.Clip(r.watchers), w)
	s.mu.Unlock()
	found, err := s.mux.modify(r.fd, r.key, s.wish(r))
	if err != nil {
		_, _ = s.forget(w)
		return err
	}
	if r.forgets { // it was told to the others
		found |= w.events &^ EventHangUp
	}
	s.deliver(r, found)
	return nil
}

// wish adds up the interests of r's Watchers. One that is one-shot is the kernel's only
// if it is alone: else it is take that holds back what comes before Rearm.
func (s *watchSet) wish(r *registration) (all wish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range r.watchers {
		all.events |= w.events
		all.oneShot = w.oneShot && len(r.watchers) == 1
		// A half-closed connection stays that. Who waits for something else
		// would not get to see it for hang-ups.
		if !w.told || w.events&(EventRead|EventHangUp) != 0 {
			all.hangUp = true
		}
	}
	return all
}

// holds reports whether r is s's still.
func (s *watchSet) holds(r *registration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[r.key] == r
}

// lose ends r's Watchers because its descriptor's number is another file's. s.ctl is
// held.
func (s *watchSet) lose(r *registration) {
	orphan := s.mux.abandon(r.key)
	s.mu.Lock()
	delete(s.byKey, r.key)
	if s.byFD[r.fd] == r {
		delete(s.byFD, r.fd)
	}
	s.orphans = s.orphans || orphan
	watchers := r.watchers
	r.watchers = nil
	s.mu.Unlock()
	err := fmt.Errorf("chanadapter: %s %d is not watched any more: %w", thing, int(r.fd), errGone)
	for _, w := range watchers {
		w.end(err)
	}
}

// forget removes w from the tables. It returns whether w was there, and whether it
// was the last Watcher of a registration that is the kernel's still.
func (s *watchSet) forget(w *Watcher) (was, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := w.reg
	i := slices.Index(r.watchers, w)
	if i < 0 {
		return false, false
	}
	r.watchers = append(slices.Clip(r.watchers[:i]), r.watchers[i+1:]...)
	if len(r.watchers) != 0 {
		return true, false
	}
	if s.byKey[r.key] != r {
		return true, false
	}
	delete(s.byKey, r.key)
	delete(s.byFD, r.fd)
	return true, true
}

func (s *watchSet) remove(w *Watcher) {
	s.ctl.Lock()
	defer s.ctl.Unlock()
	r := w.reg
	before := s.wish(r)
	was, last := s.forget(w)
	switch {
	case last:
		if s.mux.remove(r.fd, r.key) {
			s.mu.Lock()
			s.orphans = true
			s.mu.Unlock()
		}
	case was && s.holds(r):
		if after := s.wish(r); after.events != before.events {
			// The others have to hear of less. If that fails they hear of more.
			if found, err := s.mux.modify(r.fd, r.key, after); err == errGone {
				s.lose(r)
			} else {
				s.deliver(r, found)
			}
		}
	}
	w.end(nil)
}

// rearm looks anew, with another interest if there is one.
func (s *watchSet) rearm(w *Watcher, i interest, change bool) error {
	s.ctl.Lock()
	defer s.ctl.Unlock()
	r := w.reg
	s.mu.Lock()
	if !slices.Contains(r.watchers, w) {
		reason := s.broken
		s.mu.Unlock()
		if err := w.Err(); err != nil {
			return err
		}
		return reason // of which w is about to be told
	}
	before := w.interest
	if change {
		w.interest = i
	}
	missed := w.missed & (w.events | EventHangUp | EventError)
	w.armed, w.missed = true, 0
	r.unverified = 0
	s.mu.Unlock()

	found, err := s.mux.modify(r.fd, r.key, s.wish(r))
	switch {
	case err == errGone:
		s.lose(r)
		return w.Err()
	case err == errBroken:
		return s.retire(err)
	case err != nil:
		s.mu.Lock()
		w.interest = before
		s.mu.Unlock()
		return fmt.Errorf("chanadapter: cannot watch %s %d anew: %w", thing, int(r.fd), err)
	}
	s.deliver(r, found)
	if missed != 0 {
		s.deliverTo(w, missed)
	}
	return nil
}

func (s *watchSet) interestOf(w *Watcher) interest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.interest
}

// run is the goroutine.
func (s *watchSet) run() {
	defer close(s.exited)
	for {
		err := s.mux.wait(s.found)
		if err != nil {
			_ = s.retire(err)
		}
		if s.over.Load() {
			break
		}
		s.renew()
	}
	process.mu.Lock()
	awaited := s.awaited
	process.mu.Unlock()
	if !awaited {
		s.turn.Lock()
		defer s.turn.Unlock()
		s.ctl.Lock() // whoever calls mux now is the last
		defer s.ctl.Unlock()
		s.mux.free()
	}
}

// find returns false if the set is to be renewed. collect cannot do that, so wait is
// told when it finds something again.
func (s *watchSet) find(key uintptr, e Events) (goOn bool) {
	if key == 0 {
		s.kind.group.expect()
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.strays < suspicious
	}
	s.mu.Lock()
	r := s.byKey[key]
	if r == nil {
		// One that was closed a moment ago; or that could not be removed.
		if s.orphans {
			s.strays++
		}
		goOn = s.strays < suspicious
		s.mu.Unlock()
		return goOn
	}
	r.unverified++
	verify := r.unverified >= suspicious
	s.mu.Unlock()
	s.deliver(r, e)
	if verify {
		s.verify(r)
	}
	return true
}

// collect delivers what is ready in a group's own set.
func (s *watchSet) collect() {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.over.Load() {
		return // it may be freed
	}
	if err := s.mux.(collector).collect(s.found); err != nil {
		_ = s.retire(err)
	}
}

// deliver announces e to those of r's Watchers that want it.
func (s *watchSet) deliver(r *registration, e Events) {
	if e == 0 {
		return
	}
	s.mu.Lock()
	watchers := r.watchers
	s.mu.Unlock()
	for _, w := range watchers {
		s.deliverTo(w, e)
	}
}

func (s *watchSet) deliverTo(w *Watcher, e Events) {
	s.mu.Lock()
	e &= w.events | EventHangUp | EventError
	switch {
	case e == 0:
	case w.oneShot && !w.armed:
		if w.reg.forgets {
			w.missed |= e
		}
		e = 0
	default:
		w.armed = false
		w.told = w.told || e&EventHangUp != 0
	}
	s.mu.Unlock()
	if e != 0 {
		w.announce(e)
	}
}

// verify ends r's Watchers if its number does not name its file any more.
func (s *watchSet) verify(r *registration) {
	s.ctl.Lock()
	defer s.ctl.Unlock()
	if !s.holds(r) {
		return
	}
	if !s.mux.registered(r.fd, r.key) {
		s.lose(r)
		return
	}
	s.mu.Lock()
	r.unverified = 0
	s.mu.Unlock()
}

// renew gives up the kernel's registrations that could not be removed, and makes those
// of the Watchers anew, which looks at each anew. If there is nothing to make a new
// set of it is tried again later.
func (s *watchSet) renew() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.ctl.Lock()
	defer s.ctl.Unlock()
	s.mu.Lock()
	all := make([]*registration, 0, len(s.byKey))
	for _, r := range s.byKey {
		all = append(all, r)
	}
	s.mu.Unlock()
	// A number that names another file must not be registered. Its Watchers learn it
	// here.
	for i, r := range all {
		if !s.mux.registered(r.fd, r.key) {
			s.lose(r)
			all[i] = nil
		}
	}
	err := s.mux.renew()
	s.mu.Lock()
	s.strays = 0
	s.orphans = err != nil
	s.mu.Unlock()
	if err != nil {
		return
	}
	for _, r := range all {
		if r == nil {
			continue
		}
		if found, err := s.mux.add(r.fd, r.key, s.wish(r)); err != nil {
			s.lose(r)
		} else {
			s.deliver(r, found)
		}
	}
}

// retire ends all Watchers with a reason, and returns what they are told. The next
// Watch makes a new set.
func (s *watchSet) retire(reason error) error {
	process.mu.Lock()
	if process.sets[s.kind] == s {
		delete(process.sets, s.kind)
	}
	process.mu.Unlock()
	s.mu.Lock()
	if s.broken == nil {
		s.broken = fmt.Errorf("chanadapter: the watching of %ss broke: %w", thing, reason)
	}
	reason = s.broken
	var ended []*Watcher
	for _, r := range s.byKey {
		ended = append(ended, r.watchers...)
		r.watchers = nil
	}
	clear(s.byKey)
	clear(s.byFD)
	s.mu.Unlock()
	for _, w := range ended {
		w.end(reason)
	}
	s.over.Store(true)
	s.mux.shut()
	return reason
}
