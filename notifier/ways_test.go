package notifier

// This file holds what the other tests are run over: the places that notifiers
// come from (each backend, a fake, and New alone) and the ways to notify them
// (Go, a handle, a C thread, NotifyFunc); and how to wait for what must happen.

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// place is where notifiers come from.
type place struct {
	name  string
	ways  []way
	start func(t testing.TB) *Poller // nil: they have none
}

// way is a way to notify. bind returns a function that notifies n once and
// returns what Handle.Notify would; it is for one goroutine at a time.
type way struct {
	name string
	bind func(t testing.TB, n *Notifier) func() error
}

var (
	byGo = way{"go", func(_ testing.TB, n *Notifier) func() error { return n.Notify }}

	byHandle = way{"handle", func(t testing.TB, n *Notifier) func() error { return handleOf(t, n).Notify }}

	byThread = way{"thread", func(t testing.TB, n *Notifier) func() error {
		h := handleOf(t, n)
		thread := foreign.Start()
		t.Cleanup(thread.End)
		return func() error { return errorOf(thread.Notify(uint64(h), 1)) }
	}}
)

// errorOf is what Handle.Notify would have returned.
func errorOf(r foreign.Results) error {
	switch {
	case r.Changed > 0:
		return fmt.Errorf("errno changed in %d calls", r.Changed)
	case r.Failed > 0:
		return r.Err
	case r.Closed > 0:
		return ErrClosed
	case r.Invalid > 0:
		return os.ErrInvalid
	}
	return nil
}

// moreWays has the ways that not every system has.
var moreWays []way

// places are all there are on this system.
func places() []place {
	all := []place{{"none", []way{byGo}, nil}}
	ways := []way{byGo, byHandle}
	all = append(all, place{"fake", ways, func(t testing.TB) *Poller {
		p, _ := fakePoller(t)
		return p
	}})
	if foreign.Available {
		ways = append(ways, byThread)
	}
	ways = append(ways, moreWays...)
	for _, name := range Backends() {
		all = append(all, place{name, ways, func(t testing.TB) *Poller { return newPoller(t, WithBackend(name)) }})
	}
	return all
}

// everywhere runs a test at each place, by each way.
func everywhere(t *testing.T, test func(t *testing.T, s *scene)) {
	for _, p := range places() {
		for _, w := range p.ways {
			t.Run(p.name+"/"+w.name, func(t *testing.T) {
				s := &scene{way: w}
				if p.start != nil {
					s.poller = p.start(t)
				}
				test(t, s)
			})
		}
	}
}

// scene is a place and a way, in one test.
type scene struct {
	way    way
	poller *Poller // nil at none
}

// notifier returns one that is closed when the test ends. It has a handle if
// there is a poller.
func (s *scene) notifier(t testing.TB) *Notifier {
	t.Helper()
	var n *Notifier
	var err error
	if s.poller == nil {
		n = New()
	} else {
		n, err = s.poller.New()
		require.NoError(t, err)
		handleOf(t, n)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// settle returns when everything that was notified before is a token.
func (s *scene) settle(t testing.TB) {
	t.Helper()
	if s.poller != nil {
		settle(t, s.poller)
	}
}

// newPoller returns a poller that is closed when the test ends. It makes no
// rounds, on which it would scan while asleep is odd, so that settle can tell.
func newPoller(t testing.TB, opts ...PollerOption) *Poller {
	t.Helper()
	p, err := NewPoller(opts...)
	require.NoError(t, err)
	if !testenv.WeakEmulator() {
		p.watch = 24 * time.Hour
	}
	return kept(t, p)
}

// hideIdle keeps the ready sets of closed pollers from the next ones, which make sets of
// their own, until the function is called that it returns.
func hideIdle() (back func()) {
	idle.mu.Lock()
	defer idle.mu.Unlock()
	hidden := idle.sets
	idle.sets = nil
	return func() {
		idle.mu.Lock()
		defer idle.mu.Unlock()
		if idle.sets == nil {
			idle.sets = map[string][]*readySet{}
		}
		for name, list := range hidden {
			idle.sets[name] = append(idle.sets[name], list...)
		}
	}
}

func kept(t testing.TB, p *Poller) *Poller {
	pollersMade.add(p)
	t.Cleanup(func() {
		_ = p.Close()
		pollersMade.remove(p)
	})
	return p
}

// settle returns when p is asleep with nothing to do, or has no goroutine since it has
// no handle. Nobody notifies meanwhile, and p makes no self-check: then an empty root
// under an odd asleep is what p itself sees before it sleeps. Only with a fake doorbell can it be told
// that p has looked already, and will not wake by itself for what comes next.
func settle(t testing.TB, p *Poller) {
	t.Helper()
	bell, fake := p.set.bell.(*fakeBell)
	wait(t, "the poller to fall asleep", func() bool {
		return retired(p) || asleepIdle(p) && (!fake || bell.taken.Load() == bell.put.Load())
	})
}

// parked returns when every poller sleeps, in the netpoller or in a system call:
// settle cannot tell whether one has looked at root already, and would wake by itself
// for what is set there next.
func parked(t *testing.T) {
	t.Helper()
	wait(t, "the pollers to be parked", func() bool {
		for _, stack := range goroutines() {
			if strings.Contains(stack, "notifier.(*Poller).run(") &&
				!strings.Contains(stack, " [IO wait") && !strings.Contains(stack, " [syscall") {
				return false
			}
		}
		return true
	})
}

// retired tells whether p has no goroutine.
func retired(p *Poller) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited == nil
}

// asleepIdle tells whether root was empty in the middle of an epoch. Between two looks
// p may wake and empty it, so the epoch must be the same before and after.
func asleepIdle(p *Poller) bool {
	epoch := atomic.LoadUint32(&p.set.asleep)
	return epoch&1 == 1 && atomic.LoadUint32(&p.set.root) == 0 && atomic.LoadUint32(&p.set.asleep) == epoch
}

// wait returns when the condition holds, and ends the test if it never does.
func wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !waited(condition) {
		t.Fatalf("waited in vain for %s", what)
	}
}

// waited is wait for goroutines that may not end the test.
func waited(condition func() bool) bool {
	var end time.Time
	for i := 1; ; i++ {
		if condition() {
			return true
		}
		runtime.Gosched()
		if i%100 == 0 {
			now := time.Now()
			if end.IsZero() {
				end = now.Add(testenv.Patience())
			} else if now.After(end) {
				return condition()
			}
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// within returns what comes from the channel, and ends the test if nothing does.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(testenv.Patience())
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
		panic("not reached")
	}
}

// receive takes a token from C, and ends the test if none comes.
func receive(t testing.TB, n *Notifier) {
	t.Helper()
	within(t, "a token", n.C())
}

// quiet ends the test if there is a token, or one is due.
func (s *scene) quiet(t testing.TB, n *Notifier) {
	t.Helper()
	s.settle(t)
	select {
	case <-n.C():
		t.Fatal("a token too many")
	default:
	}
	if n.handle != 0 && n.state.Load() == open && isSet(n) {
		t.Fatal("a ready bit that nobody will look at")
	}
}

// isSet looks at n's ready bit.
func isSet(n *Notifier) bool {
	word, bit := position(n.handle.index())
	return atomic.LoadUint32(&n.poller.set.leaf[word])>>bit&1 == 1
}

func handleOf(t testing.TB, n *Notifier) Handle {
	t.Helper()
	h, err := n.Handle()
	require.NoError(t, err)
	return h
}

// patient returns a function that says whether what it is given ends in time.
func patient(t testing.TB, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	within(t, what, done)
}

// locked holds n's lock, and so the poller that would deliver to it, until the
// function returned is called for the first time.
func locked(n *Notifier) (release func()) {
	n.mu.Lock()
	return sync.OnceFunc(n.unlock)
}

// heldBell is a doorbell that keeps a poller which it has woken, until it is let go.
type heldBell struct {
	doorbell
	gate sync.Mutex
}

func (b *heldBell) wait(look func() bool, limit time.Duration) error {
	err := b.doorbell.wait(look, limit)
	b.gate.Lock()
	defer b.gate.Unlock()
	return err
}

// holdable gives p, which has not started, a heldBell. unwrap, after the test, closes p
// and takes that away again.
func holdable(t *testing.T, p *Poller) (b *heldBell, unwrap func()) {
	b = &heldBell{doorbell: p.set.bell}
	p.set.bell = b
	return b, func() {
		require.NoError(t, p.Close())
		p.set.bell = b.doorbell
	}
}

// hold keeps the poller when it is woken next.
func (b *heldBell) hold() (release func()) {
	b.gate.Lock()
	return sync.OnceFunc(b.gate.Unlock)
}
