package notifier

// This file holds the Poller: it is woken by its doorbell, walks the ready set
// and puts tokens in channels; how long it lingers before it goes to sleep;
// and how it starts, ends and breaks. The protocol that it follows is in
// readyset.go.

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/internal/clock"
	"github.com/wakechan/wakechan/internal/ending"
	"github.com/wakechan/wakechan/internal/selfcheck"
	"github.com/wakechan/wakechan/internal/unlabelled"
)

// Poller is the goroutine that turns foreign notifications into tokens, with the
// doorbell that wakes it and the memory that it shares with foreign code. Most
// programs need none of their own: New uses a process-wide one. Make one to
// choose the backend or the lingering, or to end many notifiers at once.
//
// All methods are safe from any goroutine at any time.
type Poller struct {
	set     *readySet
	backend string

	// watch is how often the poller looks after itself while it is asleep: it
	// notices a doorbell that somebody closed, and heals what scribbling on
	// asleep or a signal that failed left behind. selfcheck.Interval, or a test's own.
	watch time.Duration

	// told is what the goroutine is told, by bits that are set before its doorbell
	// is signalled. It looks at them after arming, as at root, so that it either
	// sees one or is woken.
	//
	//	toldStop    0 -> 1  Close, or a fault
	//	toldUnused  0 -> 1  lastClosed: no handle is left
	//	            1 -> 0  the goroutine
	told atomic.Uint32

	// unused is 1 from lastClosed until the goroutine has found that there are
	// handles again: until then it looks by itself, and need not be told.
	unused atomic.Uint32

	// grace is how long the goroutine stays when no handle is left.
	grace time.Duration

	mu      sync.Mutex
	state   uint32                 // open, closed, faulted
	err     error                  // why it is faulted
	members map[*Notifier]struct{} // open ones without a handle
	ends    map[*Notifier]func()   // to be called before these end with the poller: see internal/ending
	exited  chan struct{}          // closed by the goroutine; nil while there is none
	handed  uint64                 // handles given out so far

	closeOnce sync.Once

	counts struct{ wakeups, scans, delivered, coalesced atomic.Uint64 }

	lingering lingering // the goroutine's
}

// PollerOption sets up a Poller.
type PollerOption func(*pollerOptions)

type pollerOptions struct {
	backend    string
	ceiling    time.Duration
	ceilingSet bool
}

// WithBackend chooses the doorbell by name: see Backends. An empty name is the
// default: what the environment variable NOTIFIER_BACKEND names, or else the
// first one that the system does not refuse.
func WithBackend(name string) PollerOption {
	return func(o *pollerOptions) { o.backend = name }
}

// PollerStats describes a Poller and counts what it did.
type PollerStats struct {
	Backend   string        // the doorbell's name
	Handles   int           // notifiers that have a handle and are open
	Wakeups   uint64        // times that the poller woke
	Scans     uint64        // walks over the ready set
	Delivered uint64        // tokens it put into channels
	Coalesced uint64        // ready bits that found a token there already
	Linger    time.Duration // how long it lingers at present
}

// String is for logs.
func (s PollerStats) String() string {
	return fmt.Sprintf("%s: %d handles, %d wake-ups, %d scans, %d delivered, %d coalesced, lingers %v",
		s.Backend, s.Handles, s.Wakeups, s.Scans, s.Delivered, s.Coalesced, s.Linger)
}

// NewPoller returns a Poller with a doorbell and shared memory of its own; its
// goroutine starts with the first Handle. Close it to end it.
//
// Errors: for a backend that is unknown or refused one that lists Backends(), and
// says so if the name came from the environment; one that matches
// [errors.ErrUnsupported] where there is none; the system's, when it has no
// descriptor or memory left. Nothing is left half made.
func NewPoller(opts ...PollerOption) (*Poller, error) {
	var o pollerOptions
	for _, opt := range opts {
		opt(&o)
	}
	if !o.ceilingSet {
		var err error
		if o.ceiling, err = ceilingFromEnvironment(); err != nil {
			return nil, err
		}
	}
	grace := defaultGrace
	if runtime.GOOS == "wasip1" {
		// Nobody notifies while the poller looks, and a poller that is still awake
		// when the host's call returns gets no further until the next one. And there
		// the doorbell knows no time.
		o.ceiling, grace = 0, 0
	}
	var chosen string // by the environment
	if o.backend == "" {
		chosen = os.Getenv(backendVariable)
		o.backend = chosen
	}
	set, name, err := acquireSet(o.backend)
	if err != nil {
		if chosen != "" {
			err = fmt.Errorf("%w (the environment has %s=%s)", err, backendVariable, chosen)
		}
		return nil, err
	}
	return &Poller{set: set, backend: name, lingering: lingering{ceiling: o.ceiling}, watch: selfcheck.Interval, grace: grace, members: map[*Notifier]struct{}{}}, nil
}

// process is the default poller.
var process struct {
	mu sync.Mutex
	p  *Poller
}

// defaultPoller returns the process-wide poller, and makes it when there is none, the
// last one broke, or its handles are nearly used up.
func defaultPoller() (*Poller, error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.p == nil || process.p.fault() != nil || process.p.set.worn() {
		p, err := NewPoller()
		if err != nil {
			return nil, err
		}
		process.p = p
	}
	return process.p, nil
}

// idle has the ready sets of closed pollers, by backend, for the next ones.
var idle struct {
	mu   sync.Mutex
	sets map[string][]*readySet
}

// acquireSet returns an idle set of the backend, or makes one.
func acquireSet(name string) (s *readySet, backend string, err error) {
	idle.mu.Lock()
	defer idle.mu.Unlock()
	bell, b, err := openBackend(name, func(name string) bool {
		s = takeIdle(name)
		return s != nil
	})
	if err != nil {
		return nil, "", err
	}
	if s == nil {
		if s, err = newReadySet(bell, b.kind, bell.descriptor()); err != nil {
			bell.discard()
			return nil, "", err
		}
	}
	return s, b.name, nil
}

// takeIdle returns an idle set whose doorbell is of that name, or nil. idle.mu is
// held.
func takeIdle(name string) *readySet {
	for list := idle.sets[name]; len(list) > 0; {
		s := list[len(list)-1]
		list = list[:len(list)-1]
		idle.sets[name] = list
		switch {
		case !s.intact() || s.bell.check() != nil:
			s.condemn()
		case !s.worn(): // else it is left as it is, for late callers
			return s
		}
	}
	return nil
}

func returnSet(name string, s *readySet) {
	idle.mu.Lock()
	defer idle.mu.Unlock()
	if idle.sets == nil {
		idle.sets = map[string][]*readySet{}
	}
	idle.sets[name] = append(idle.sets[name], s)
}

// New returns an open Notifier that p serves. It belongs to p until one of them
// is closed: it is not garbage-collected before that. The error is [ErrClosed], or what
// broke p.
func (p *Poller) New() (*Notifier, error) {
	if p == nil || p.set == nil {
		return nil, ErrClosed
	}
	n := newNotifier(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.endErr(); err != nil {
		return nil, err
	}
	p.members[n] = struct{}{}
	return n, nil
}

// admit gives n a handle and starts the goroutine if this is the first. n's lock
// is held; the order of locks is notifier, poller, set.
func (p *Poller) admit(n *Notifier) (Handle, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.endErr(); err != nil {
		return 0, err
	}
	h, err := p.set.admit(n)
	if err != nil {
		return 0, err
	}
	delete(p.members, n)
	p.handed++
	if p.exited == nil {
		p.exited = make(chan struct{})
		unlabelled.Go(p.run) // never in a synctest bubble: Handle refuses there
	}
	return h, nil
}

// lastClosed is called when no handle is left: the goroutine ends some time after that,
// so that nothing of p runs while nobody needs it.
func (p *Poller) lastClosed() {
	if p.unused.Swap(1) != 0 {
		return
	}
	p.tell(toldUnused)
}

// tell wakes the goroutine, if it is asleep, to be told something. Unlike a foreign caller it
// has the time to look whether the doorbell is there still. If it is not, or the signal
// fails, the goroutine finds out at its self-check.
func (p *Poller) tell(what uint32) {
	p.told.Or(what)
	if atomic.LoadUint32(&p.set.asleep)&1 != 0 && p.set.bell.check() == nil {
		_ = p.set.bell.signal()
	}
}

const (
	toldStop = 1 << iota
	toldUnused
)

// defaultGrace is less than what leak checkers of tests wait for.
const defaultGrace = 50 * time.Millisecond

// retire ends the goroutine if no handle was given out since there were handed of
// them, and none is left. Under the lock that admit has: the next one starts it anew.
func (p *Poller) retire(handed uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != open || p.handed != handed || p.set.handles() != 0 {
		return false
	}
	// Nothing of the set is touched by this goroutine after that.
	p.set.wakeUp()
	p.told.And(^uint32(toldUnused))
	p.unused.Store(0)
	p.exited = nil
	return true
}

// idle returns how many handles were given out so far, and whether none is left. From
// then on the goroutine is told of that, or looks by itself.
func (p *Poller) idle() (handed uint64, idle bool) {
	look := func() {
		p.mu.Lock()
		handed, idle = p.handed, p.set.handles() == 0
		p.mu.Unlock()
	}
	if look(); !idle {
		p.unused.Store(0)
		look() // who closed the last one in between may have seen a 1
	}
	if idle {
		p.unused.Store(1)
	}
	return handed, idle
}

func init() {
	ending.Before = func(n any, f func()) func() { return n.(*Notifier).beforeEnd(f) }
}

// beforeEnd is ending.Before.
func (n *Notifier) beforeEnd(f func()) (forget func()) {
	n.mu.Lock()
	p := n.poller
	n.unlock()
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	if p.state != open {
		p.mu.Unlock()
		f()
		return func() {}
	}
	if p.ends == nil {
		p.ends = map[*Notifier]func(){}
	}
	p.ends[n] = f
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.ends, n)
	}
}

func (p *Poller) forget(n *Notifier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.members, n)
}

func (p *Poller) fault() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *Poller) endErr() error {
	switch p.state {
	case open:
		return nil
	case faulted:
		return p.err
	default:
		return ErrClosed
	}
}

// Stats describes p at this moment.
func (p *Poller) Stats() PollerStats {
	if p == nil || p.set == nil {
		return PollerStats{}
	}
	// A closed poller's set may serve another by now.
	handles := 0
	p.mu.Lock()
	if p.state == open {
		handles = p.set.handles()
	}
	p.mu.Unlock()
	return PollerStats{
		Backend:   p.backend,
		Handles:   handles,
		Wakeups:   p.counts.wakeups.Load(),
		Scans:     p.counts.scans.Load(),
		Delivered: p.counts.delivered.Load(),
		Coalesced: p.counts.coalesced.Load(),
		Linger:    time.Duration(p.lingering.window.Load()),
	}
}

// String says which poller this is, for logs.
func (p *Poller) String() string {
	if p == nil || p.set == nil {
		return "Poller(closed)"
	}
	return fmt.Sprintf("Poller(%s, %#x)", p.backend, p.set.base)
}

// Close closes p and its notifiers, and returns when its goroutine has ended. It
// may be called again and by several goroutines. The error is nil.
//
// The doorbell's descriptor and the shared memory stay for the next [NewPoller]: a
// foreign thread that is about to signal must not find somebody else's there.
func (p *Poller) Close() error {
	if p == nil || p.set == nil {
		return nil
	}
	p.closeOnce.Do(func() {
		broken := !p.finish(closed, nil)
		p.mu.Lock()
		exited := p.exited
		p.mu.Unlock()
		if exited != nil {
			<-exited
		}
		if !broken {
			returnSet(p.backend, p.set)
		}
	})
	return nil
}

// finish ends p and all its notifiers, and tells the goroutine to stop. It
// reports whether p was open.
func (p *Poller) finish(as uint32, err error) bool {
	p.mu.Lock()
	if p.state != open {
		p.mu.Unlock()
		return false
	}
	p.state, p.err = as, err
	ends := p.ends
	p.ends = nil
	list := p.set.all()
	for n := range p.members {
		list = append(list, n)
	}
	p.mu.Unlock() // from here on nothing is admitted
	if as == faulted {
		p.set.condemn()
	}
	for _, f := range ends {
		f()
	}
	for _, n := range list {
		n.end(as)
	}
	p.tell(toldStop)
	return true
}

// run is the poller's goroutine.
func (p *Poller) run() {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	defer close(exited)
	if p.serve() {
		return
	}
	// Whoever passes by later need not signal.
	p.set.wakeUp()
}

// serve reports whether it retired.
func (p *Poller) serve() bool {
	look := func() bool { return p.set.fallAsleep(&p.told) }
	unused, handed := false, uint64(0)
	p.examine(p.set.bell.check()) // nobody looked while there was no goroutine
	for {
		told := p.told.Load()
		if told&toldStop != 0 {
			return false
		}
		if told&toldUnused != 0 {
			p.told.And(^uint32(toldUnused))
			handed, unused = p.idle()
			if p.grace == 0 && p.retire(handed) {
				return true
			}
		}
		if found, behind := p.scan(); found && p.lingering.more(&p.set.root, &p.told, behind) {
			continue
		}
		limit := p.watch
		if unused {
			limit = min(limit, p.grace)
		}
		began := clock.Now()
		err := p.set.bell.wait(look, limit)
		if errors.Is(err, errSelfCheck) {
			if unused && p.retire(handed) {
				return true
			}
			handed, unused = p.idle()
			err = p.set.bell.check()
		} else {
			p.counts.wakeups.Add(1)
			p.lingering.slept(clock.Now() - began)
			if err != nil { // and check may know more about it
				err = cmp.Or(p.set.bell.check(), err)
			}
		}
		p.examine(err)
	}
}

// examine ends p if its doorbell, of which err tells, or its block's header is broken.
func (p *Poller) examine(err error) {
	if err != nil {
		p.fail(fmt.Errorf("the %s doorbell broke: %w", p.backend, err))
	} else if !p.set.intact() {
		p.fail(errors.New("foreign code overwrote the header of the shared memory"))
	}
}

// fail ends p and its notifiers with a reason. Nothing foreign is touched any
// more: the descriptor may be somebody else's by now.
func (p *Poller) fail(err error) {
	p.finish(faulted, fmt.Errorf("notifier: the poller stopped: %w", err))
}

// scan delivers what is ready. It reports whether there was anything, and whether
// the receivers are behind: every token found its channel full.
func (p *Poller) scan() (found, behind bool) {
	delivered, coalesced := p.counts.delivered.Load(), p.counts.coalesced.Load()
	p.set.scan(func(i uint32) {
		if n := p.set.owner(i); n == nil {
			p.set.dropOrphan(i)
		} else {
			n.deliver()
		}
	})
	p.counts.scans.Add(1)
	sent := p.counts.delivered.Load() != delivered
	return sent || p.counts.coalesced.Load() != coalesced, !sent
}
