package notifier

// This file holds TestMain: it fails when the tests leave goroutines, notifiers,
// descriptors or threads behind, and says who made them. The sets of closed
// pollers are kept on purpose, so their doorbells are accounted for one by one.
// What only Linux can tell is in main_linux_test.go.

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

func TestMain(m *testing.M) {
	before := goroutines()
	descriptors := openDescriptors()
	code := m.Run()
	if code == 0 && !testenv.InChild() {
		var leaks string
		// What has just been closed may take a moment to be gone.
		for end := time.Now().Add(testenv.Patience()); ; time.Sleep(time.Millisecond) {
			if leaks = leaked(before, descriptors); leaks == "" || time.Now().After(end) {
				break
			}
		}
		if leaks != "" {
			fmt.Fprintln(os.Stderr, "the tests left something behind:\n\n"+leaks)
			code = 1
		}
	}
	os.Exit(code)
}

// leaked describes what is there now and was not before.
func leaked(before map[string]string, descriptors map[int]string) string {
	var b strings.Builder
	b.WriteString(pollersMade.open())
	b.WriteString(foreign.Leaked())
	b.WriteString(foreignTasks())

	process.mu.Lock()
	standing := process.p
	process.mu.Unlock()
	allowed := 0 // goroutines of pollers
	if standing != nil {
		if standing.exited != nil {
			allowed = 1
		}
		for _, n := range standing.set.all() {
			fmt.Fprintf(&b, "a notifier of the default poller: %v\n", n)
		}
	}
	for id, stack := range goroutines() {
		if _, old := before[id]; old || strings.Contains(stack, "os/signal.") {
			continue
		}
		if allowed > 0 && strings.Contains(stack, "notifier.(*Poller).run") {
			allowed--
			continue
		}
		b.WriteString(stack + "\n\n")
	}
	ours := map[int]bool{}
	if list := sets.Load(); list != nil {
		for _, s := range *list {
			for _, fd := range descriptorsOf(s.bell) {
				ours[fd] = true
			}
		}
	}
	for fd, file := range openDescriptors() {
		if _, old := descriptors[fd]; !old && !ours[fd] {
			fmt.Fprintf(&b, "descriptor %d: %s\n", fd, file)
		}
	}
	return b.String()
}

// goroutines has the stack of each goroutine but this, by its "goroutine N".
func goroutines() map[string]string {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, true)]
	all := map[string]string{}
	for _, stack := range strings.Split(string(text), "\n\n")[1:] {
		id, _, _ := strings.Cut(stack, " [")
		all[id] = stack
	}
	return all
}

// made has the pollers that tests made and the stacks that did.
type made struct {
	mu     sync.Mutex
	stacks map[*Poller]string
}

var pollersMade = made{stacks: map[*Poller]string{}}

func (m *made) add(p *Poller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stacks[p] = string(debug.Stack())
}

func (m *made) remove(p *Poller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stacks, p)
}

// open describes those that are open.
func (m *made) open() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for p, stack := range m.stacks {
		p.mu.Lock()
		if p.state == open {
			fmt.Fprintf(&b, "a poller (%s) made by:\n%s\n", p.backend, stack)
		}
		p.mu.Unlock()
	}
	return b.String()
}
