package notifier

// This file holds the Poller: it is woken by its doorbell, walks the ready set
// and puts tokens in channels; how long it lingers before it goes back to bed;
// and how it starts, ends and breaks. The protocol that it follows is in
// readyset.go.

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/internal/clock"
	"github.com/wakechan/wakechan/internal/rounds"
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
	ceiling time.Duration

	// watch is how often the poller looks after itself while it is in bed: it
	// notices a doorbell that somebody closed, and heals what scribbling on
	// asleep or a ring that failed left behind. rounds.Interval, or a test's own.
	watch time.Duration

	// stop: 0 -> 1 by Close, or by a fault that another goroutine found, before
	// they ring. The poller looks at it after arming, as at root, so that it
	// either sees it or is rung.
	stop atomic.Uint32

	mu      sync.Mutex
	state   uint32                 // open, closed, faulted
	err     error                  // why it is faulted
	members map[*Notifier]struct{} // open ones without a handle
	exited  chan struct{}          // nil until started, closed by the goroutine

	closeOnce sync.Once

	counts struct{ wakeups, scans, delivered, coalesced atomic.Uint64 }
	window atomic.Int64 // how long it lingers now; written by the goroutine

	// The goroutine's:
	kept      int           // what lingering seems to have kept, against what it found
	truceEnds time.Duration // no lingering before
}

// PollerOption sets up a Poller.
type PollerOption func(*pollerOptions)

type pollerOptions struct {
	backend string
	ceiling time.Duration
}

// DefaultLinger is the longest time that a Poller looks for more notifications
// before it goes to bed, unless WithLinger says otherwise.
const DefaultLinger = 100 * time.Microsecond

// WithBackend chooses the doorbell by name: see Backends. An empty name is the
// default: what the environment variable NOTIFIER_BACKEND names, or else the
// first one that the system does not refuse.
func WithBackend(name string) PollerOption {
	return func(o *pollerOptions) { o.backend = name }
}

// WithLinger sets the longest time that the poller keeps looking for more
// notifications, after it has found some, before it goes to bed. While it looks,
// a notification costs no system call and arrives sooner, and the poller uses
// CPU that nobody else wants. The time in use adapts below that ceiling: it grows
// while notifications keep coming closer together than the ceiling, and is zero
// for a slow or idle source, and where lingering turns out to hold a processor that
// the notifying thread needs. 0 turns lingering off. On WASI, which has no threads,
// it is always off.
func WithLinger(ceiling time.Duration) PollerOption {
	return func(o *pollerOptions) { o.ceiling = max(ceiling, 0) }
}

// PollerStats describes a Poller and counts what it did.
type PollerStats struct {
	Backend   string        // the doorbell's name
	Handles   int           // notifiers that have a handle and are open
	Wakeups   uint64        // times that it got up, whatever for
	Scans     uint64        // walks over the ready set
	Delivered uint64        // tokens it put into channels
	Coalesced uint64        // ready bits that found a token there already
	Linger    time.Duration // how long it lingers at present
}

// NewPoller returns a Poller with a doorbell and shared memory of its own; its
// goroutine starts with the first Handle. Close it to end it.
//
// Errors: for a backend that is unknown or refused one that lists Backends(), and
// says so if the name came from the environment; one that matches
// errors.ErrUnsupported where there is none; the system's, when it has no
// descriptor or memory left. Nothing is left half made.
func NewPoller(opts ...PollerOption) (*Poller, error) {
	o := pollerOptions{ceiling: DefaultLinger}
	for _, opt := range opts {
		opt(&o)
	}
	if runtime.GOOS == "wasip1" {
		// Nobody notifies while the poller looks, and a poller that is still up
		// when the host's call returns gets no further until the next one.
		o.ceiling = 0
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
	return &Poller{set: set, backend: name, ceiling: o.ceiling, watch: rounds.Interval, members: map[*Notifier]struct{}{}}, nil
}

// process is the default poller.
var process struct {
	mu sync.Mutex
	p  *Poller
}

// defaultPoller returns the process-wide poller, and makes it when there is none
// or the last one broke.
func defaultPoller() (*Poller, error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.p == nil || process.p.fault() != nil {
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
		if s.intact() && s.bell.check() == nil {
			return s
		}
		s.condemn()
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
// is closed. The error is ErrClosed, or what broke p.
func (p *Poller) New(opts ...Option) (*Notifier, error) {
	if p == nil || p.set == nil {
		return nil, ErrClosed
	}
	n := newNotifier(p, opts)
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
	if p.exited == nil {
		// Never in a synctest bubble: Handle refuses there.
		p.exited = make(chan struct{})
		go p.run()
	}
	return h, nil
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
		Linger:    time.Duration(p.window.Load()),
	}
}

// Close closes p and its notifiers, and returns when its goroutine has ended. It
// may be called again and by several goroutines. The error is nil.
//
// The doorbell's descriptor and the shared memory stay for the next NewPoller: a
// foreign thread that is about to ring must not find somebody else's there.
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
	list := p.set.all()
	for n := range p.members {
		list = append(list, n)
	}
	p.mu.Unlock() // from here on nothing is admitted
	if as == faulted {
		p.set.condemn()
	}
	for _, n := range list {
		n.end(as)
	}
	p.stop.Store(1)
	if as == closed {
		// If it fails the goroutine finds out on its rounds.
		_ = p.set.bell.ring()
	}
	return true
}

// run is the poller's goroutine.
func (p *Poller) run() {
	defer close(p.exited)
	// Whoever passes by later need not ring.
	defer p.set.getUp()
	look := func() bool { return p.set.goToBed(&p.stop) }
	for p.stop.Load() == 0 {
		if found, behind := p.scan(); found && p.linger(behind) {
			continue
		}
		bed := clock.Now()
		err := p.set.bell.wait(look, p.watch)
		if errors.Is(err, errWatch) {
			err = p.set.bell.check()
		} else {
			p.counts.wakeups.Add(1)
			p.adapt(clock.Now() - bed)
		}
		if err != nil {
			p.fail(fmt.Errorf("the %s doorbell broke: %w", p.backend, err))
		} else if !p.set.intact() {
			p.fail(errors.New("foreign code overwrote the header of the shared memory"))
		}
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
	var delivered, coalesced uint64
	p.set.scan(func(i uint32) {
		n := p.set.owner(i)
		if n == nil {
			p.set.dropOrphan(i)
			return
		}
		switch sent, full := n.deliver(p.set, i); {
		case sent:
			delivered++
		case full:
			coalesced++
		}
	})
	p.counts.scans.Add(1)
	if delivered+coalesced == 0 {
		return false, false
	}
	p.counts.delivered.Add(delivered)
	p.counts.coalesced.Add(coalesced)
	return true, delivered == 0
}

// The lingering adapts as KVM's halt polling does (Documentation/virt/kvm/
// halt-polling.rst): from firstWindow it doubles up to the ceiling each time
// that a notification came after the window but within the ceiling, and halves,
// down to none, each time that one came later than that.
const (
	firstWindow = 12 * time.Microsecond

	// pace is how long the next look waits when the receivers are behind: they
	// have their token, and each scan takes cache lines from the producers.
	pace = 20 * time.Microsecond

	// A notification that comes just after the poller went to bed, within a soon-th
	// of the ceiling, may be one that lingering has kept from coming: where there
	// is no other processor for its sender, the kernel lets that wait for the
	// window's end. One that was kept costs about half a window, and one that
	// lingering found saves an eighth of that: so it weighs as much as keeps of
	// those. When enough more weight has gathered than was found, there is no
	// lingering for the time of truce; after that the next one kept is enough.
	soon   = 8
	keeps  = 8
	enough = 4 * keeps
	truce  = 10 * time.Millisecond
)

// linger looks for more for the time of the window, letting receivers run. It
// reports whether there is more.
func (p *Poller) linger(behind bool) bool {
	window := time.Duration(p.window.Load())
	if window == 0 {
		return false
	}
	start := clock.Now()
	if start < p.truceEnds {
		return false
	}
	from := start
	if behind {
		from += pace
	}
	for {
		runtime.Gosched()
		t := clock.Now()
		if t >= from && atomic.LoadUint32(&p.set.root) != 0 || p.stop.Load() != 0 {
			p.kept = max(p.kept-1, 0)
			return true
		}
		if t >= max(start+window, from) {
			return false
		}
	}
}

// adapt changes the window after a sleep.
func (p *Poller) adapt(slept time.Duration) {
	window := time.Duration(p.window.Load())
	if window+slept <= p.ceiling {
		window = min(max(2*window, firstWindow), p.ceiling)
	} else if window /= 2; window < firstWindow {
		window = 0
	}
	if slept < p.ceiling/soon && time.Duration(p.window.Load()) >= p.ceiling/4 {
		if p.kept += keeps; p.kept >= enough {
			p.kept -= keeps
			p.truceEnds, window = clock.Now()+truce, 0
		}
	}
	p.window.Store(int64(window))
}
