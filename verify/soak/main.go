// Command soak runs everything at once for a long time and stops at the first
// violation of a guarantee, with a non-zero exit.
//
//	go run ./verify/soak -for 10m
//
// On each backend foreign threads (with cgo), goroutines with handles and
// goroutines with Notify publish a number and notify; receivers by C and by Wait
// note the last number that they saw. When a phase's producers have all returned,
// every receiver must come to see the last number: a lost wake-up is one that does
// not within -patience. Beside them notifiers are made, closed and notified late,
// Clear and Wait are checked for strictness, descriptors are churned and looked at
// for bytes that nobody should have written, and the garbage collector runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/selfcheck"
	"github.com/wakechan/wakechan/notifier"
)

var (
	duration = flag.Duration("for", 10*time.Minute, "how long to run")
	patience = flag.Duration("patience", 30*time.Second, "how long a wake-up may take before it is called lost")
	count    = flag.Int("notifiers", 64, "notifiers that each phase notifies, on each backend")
)

// sent and phases are for the progress line.
var sent, phases, churned atomic.Uint64

func main() {
	flag.Parse()
	selfcheck.Interval = 1000 * time.Hour // they would heal what is to be found
	start := time.Now()
	ctx, stop := context.WithTimeout(context.Background(), *duration)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)

	for _, backend := range notifier.Backends() {
		g.Go(func() error { return wrap(backend+": phases", soakPhases(ctx, backend)) })
		g.Go(func() error { return wrap(backend+": churn", soakChurn(ctx, backend)) })
		g.Go(func() error { return wrap(backend+": strict", soakStrict(ctx, backend)) })
	}
	g.Go(func() error { return wrap("phases without a handle", soakPhases(ctx, "")) })
	g.Go(func() error { return wrap("descriptors", soakDescriptors(ctx)) })
	g.Go(func() error { return soakCollector(ctx) })
	g.Go(func() error { return progress(ctx, start) })

	err := g.Wait()
	fmt.Println()
	line := status(start)
	if err != nil {
		fmt.Println(line)
		fmt.Fprintln(os.Stderr, "soak: VIOLATION:", err)
		os.Exit(1)
	}
	fmt.Println(line + "; lost = 0: no violation")
}

func wrap(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// target is a notifier with what its receiver must come to see.
type target struct {
	n         *notifier.Notifier
	index     int
	published atomic.Uint64        // by goroutines, before they notify
	seen      atomic.Uint64        // what the receiver saw of that
	view      atomic.Pointer[view] // while there are foreign threads
}

// view is the same for one phase's foreign threads.
type view struct {
	crowd *foreign.Crowd
	seen  atomic.Uint64
}

// look is what the receiver does with a token.
func (t *target) look() {
	t.seen.Store(t.published.Load())
	if v := t.view.Load(); v != nil {
		v.seen.Store(v.crowd.Published(t.index))
	}
}

func (t *target) receive(ctx context.Context, byWait bool) error {
	if byWait {
		for range t.n.Wakes(ctx) {
			t.look()
		}
		return nil
	}
	for {
		select {
		case <-t.n.C():
			t.look()
		case <-ctx.Done():
			return nil
		}
	}
}

// soakPhases runs phases of random producers, with everything seen after each.
// Without a backend the notifiers have no handles.
func soakPhases(ctx context.Context, backend string) (err error) {
	make, close, err := factory(backend)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, close()) }()
	receivers, stop := context.WithCancel(context.Background())
	g := new(errgroup.Group)
	defer func() { stop(); _ = g.Wait() }()

	targets := []*target{}
	handles := []uint64{}
	for i := range *count {
		n, err := make()
		if err != nil {
			return err
		}
		defer n.Close()
		t := &target{n: n, index: i}
		if backend != "" {
			h, err := n.Handle()
			if err != nil {
				return err
			}
			handles = append(handles, uint64(h))
		}
		targets = append(targets, t)
		g.Go(func() error { return t.receive(receivers, i%2 == 0) })
	}
	for ctx.Err() == nil {
		if err := phase(ctx, targets, handles); err != nil {
			return err
		}
		phases.Add(1)
	}
	return nil
}

func phase(ctx context.Context, targets []*target, handles []uint64) error {
	var g errgroup.Group
	active := targets[:1+rand.IntN(len(targets))]
	each := 1 << rand.IntN(16)
	for range rand.IntN(4) { // goroutines, by Notify and by handle
		byHandle := len(handles) > 0 && rand.IntN(2) == 0
		g.Go(func() error {
			for range each {
				t := active[rand.IntN(len(active))]
				t.published.Add(1)
				var err error
				if byHandle {
					err = notifier.Handle(handles[t.index]).Notify()
				} else {
					err = t.n.Notify()
				}
				if err != nil {
					return fmt.Errorf("notify of an open notifier: %w", err)
				}
			}
			sent.Add(uint64(each))
			return nil
		})
	}
	if foreign.Available && len(handles) > 0 {
		// No thread notifies before every receiver can see what it has published.
		crowd := foreign.Muster(handles[:len(active)], 1+rand.IntN(4), 8*each, rand.IntN(2) == 0)
		for _, t := range active {
			t.view.Store(&view{crowd: crowd})
		}
		crowd.Open(1)
		// The receivers may still be looking at it when it is closed: they are
		// known not to be once everything was seen and no token is due.
		g.Go(func() error {
			r := crowd.Wait()
			sent.Add(r.Total())
			if r.Arrived() != r.Total() || r.Changed != 0 {
				return fmt.Errorf("foreign notifications of open notifiers: %+v", r)
			}
			return nil
		})
		defer crowds.retire(crowd, active)
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return allSeen(active)
}

// allSeen waits until each receiver has seen what was published last.
func allSeen(targets []*target) error {
	deadline := time.Now().Add(*patience)
	for _, t := range targets {
		for {
			missing := t.published.Load() - t.seen.Load()
			if v := t.view.Load(); v != nil {
				missing += v.crowd.Published(t.index) - v.seen.Load()
			}
			if missing == 0 {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("LOST: notifier %d of %d: the last %d publications were never seen (%v, token %d)",
					t.index, len(targets), missing, t.n.Stats(), len(t.n.C()))
			}
			runtime.Gosched()
			time.Sleep(50 * time.Microsecond)
		}
	}
	return nil
}

// retired keeps a few phases' crowds alive for receivers that still look at them.
type retired struct {
	mu   sync.Mutex
	list []*foreign.Crowd
}

var crowds retired

func (r *retired) retire(c *foreign.Crowd, targets []*target) {
	for _, t := range targets {
		t.view.Store(nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.list = append(r.list, c); len(r.list) > 1024 {
		r.list[0].Close()
		r.list = r.list[1:]
	}
}

// factory returns how to make a backend's notifiers.
func factory(backend string) (make func() (*notifier.Notifier, error), close func() error, err error) {
	if backend == "" {
		return func() (*notifier.Notifier, error) { return notifier.New(), nil }, func() error { return nil }, nil
	}
	p, err := notifier.NewPoller(notifier.WithBackend(backend))
	if err != nil {
		return nil, nil, err
	}
	return p.New, p.Close, nil
}

// soakChurn makes and closes notifiers, whole pollers now and then, and notifies
// them late: no token comes after Close, and a stale handle says so for ever.
func soakChurn(ctx context.Context, backend string) error {
	var stale []uint64
	for ctx.Err() == nil {
		make, close, err := factory(backend)
		if err != nil {
			return err
		}
		for range 1 + rand.IntN(3000) {
			n, err := make()
			if err != nil {
				return err
			}
			h, err := n.Handle()
			if err != nil {
				return err
			}
			var g errgroup.Group
			g.Go(func() error {
				if err := h.Notify(); err != nil && !errors.Is(err, notifier.ErrClosed) {
					return err
				}
				return nil
			})
			if rand.IntN(2) == 0 {
				_ = n.Wait(ctx)
			}
			n.Close()
			for len(n.C()) > 0 {
				<-n.C()
			}
			if err := g.Wait(); err != nil {
				return err
			}
			if len(n.C()) != 0 {
				return errors.New("a token after Close")
			}
			stale = append(stale, uint64(h))
			if len(stale) > 1000 {
				stale = stale[500:]
			}
			late := stale[rand.IntN(len(stale))]
			if err := notifier.Handle(late).Notify(); !errors.Is(err, notifier.ErrClosed) {
				return fmt.Errorf("stale handle %#x: %v", late, err)
			}
			if foreign.Available && rand.IntN(16) == 0 {
				if r := foreign.OnThread(late, 3); r.Closed != 3 {
					return fmt.Errorf("stale handle %#x on a foreign thread: %+v", late, r)
				}
			}
			churned.Add(1)
			sent.Add(2)
		}
		if err := close(); err != nil {
			return err
		}
	}
	return nil
}

// soakStrict checks that Wait and Clear take all that was notified before.
func soakStrict(ctx context.Context, backend string) (err error) {
	make, close, err := factory(backend)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, close()) }()
	n, err := make()
	if err != nil {
		return err
	}
	h, err := n.Handle()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		times := 1 + rand.IntN(5)
		for range times {
			if err := h.Notify(); err != nil {
				return err
			}
		}
		sent.Add(uint64(times))
		if rand.IntN(2) == 0 {
			if err := n.Wait(ctx); err != nil {
				return nil // the time is over
			}
		} else if !n.Clear() {
			return fmt.Errorf("nothing to Clear after %d notifications", times)
		}
		for range rand.IntN(50) {
			if len(n.C()) != 0 {
				return fmt.Errorf("a token after Wait or Clear had taken all %d notifications", times)
			}
			runtime.Gosched()
		}
	}
	return nil
}

// soakDescriptors opens and closes pipes, so that the numbers of the library's
// descriptors would be reused had it closed any, and reads what nobody wrote.
func soakDescriptors(ctx context.Context) error {
	for ctx.Err() == nil {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		_ = r.SetReadDeadline(time.Now().Add(time.Millisecond))
		var b [64]byte
		n, err := r.Read(b[:])
		if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("somebody wrote %q into another's pipe (%v)", b[:n], err)
		}
		_, _ = r.Close(), w.Close()
	}
	return nil
}

func soakCollector(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
			if rand.IntN(10) == 0 {
				debug.FreeOSMemory()
			} else {
				runtime.GC()
			}
		}
	}
}

func progress(ctx context.Context, start time.Time) error {
	live := terminal()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if live {
				fmt.Printf("\r%s; lost = 0 ", status(start))
			} else if i%10 == 9 {
				fmt.Println(status(start) + "; lost = 0")
			}
		}
	}
}

func terminal() bool {
	st, err := os.Stdout.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func status(start time.Time) string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	elapsed := time.Since(start)
	files, _ := os.ReadDir("/proc/self/fd")
	threads, _ := os.ReadDir("/proc/self/task")
	return fmt.Sprintf("%4.0f s: %d notifications (%.1f M/s), %d phases, %d closed; %d MiB, %d goroutines, %d descriptors, %d threads",
		elapsed.Seconds(), sent.Load(), float64(sent.Load())/elapsed.Seconds()/1e6, phases.Load(), churned.Load(),
		m.Sys>>20, runtime.NumGoroutine(), len(files), len(threads))
}
