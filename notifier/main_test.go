package notifier

// This file holds TestMain: it fails when the tests leave goroutines, notifiers,
// descriptors or threads behind, and says who made them. The sets of closed
// pollers are kept on purpose, so their doorbells are accounted for one by one.
// What only Linux can tell is in main_linux_test.go.

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/leak"
)

func TestMain(m *testing.M) {
	os.Exit(leak.Check{Descriptor: ofAnySet, Also: left}.Run(m))
}

// left describes what tests made and did not close.
func left() string {
	var b strings.Builder
	b.WriteString(pollersMade.open())
	b.WriteString(foreign.Leaked())
	b.WriteString(foreignTasks())
	process.mu.Lock()
	standing := process.p
	process.mu.Unlock()
	if standing != nil {
		for _, n := range standing.set.all() {
			fmt.Fprintf(&b, "a notifier of the default poller: %v\n", n)
		}
	}
	return b.String()
}

var (
	goroutines      = leak.Goroutines
	openDescriptors = leak.Descriptors
)

// ofAnySet allows the doorbells of the sets of closed pollers, which are kept.
func ofAnySet(fd int) bool {
	for _, s := range knownSets() {
		if slices.Contains(descriptorsOf(s.bell), fd) {
			return true
		}
	}
	return false
}

// knownSets returns every ready set that Handle.Notify finds.
func knownSets() (list []*readySet) {
	for i := range sets {
		if chunk := sets[i].Load(); chunk != nil {
			for j := range chunk {
				if s := chunk[j].Load(); s != nil {
					list = append(list, s)
				}
			}
		}
	}
	return list
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
