// Package foreign makes threads that Go has never heard of, for tests: they
// notify through notifier.h, as the threads of a C library would. Without cgo
// Available is false and every call panics.
//
// This file holds what both builds share. threads.go has the cgo build of it,
// nocgo.go its twin, and signals_*.go the signal handlers and fork of a unix.
package foreign

import (
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
)

// Results counts what notifier_notify returned.
type Results struct {
	OK, Coalesced, Closed, Invalid, Failed uint64

	// Changed counts calls that did not fail and changed errno: none may.
	Changed uint64

	// Err is C's errno after the last call that failed: a syscall.Errno.
	Err error
}

// Total is the number of calls.
func (r Results) Total() uint64 {
	return r.OK + r.Coalesced + r.Closed + r.Invalid + r.Failed
}

// Arrived is the number of calls after which a wake-up comes.
func (r Results) Arrived() uint64 { return r.OK + r.Coalesced }

// alive has the threads that nobody has ended, with the stack that made each.
var alive struct {
	mu     sync.Mutex
	number int
	stacks map[int]string
}

// born notes a thread and returns what to call when it has ended.
func born() (died func()) {
	alive.mu.Lock()
	defer alive.mu.Unlock()
	if alive.stacks == nil {
		alive.stacks = map[int]string{}
	}
	alive.number++
	id := alive.number
	alive.stacks[id] = string(debug.Stack())
	return func() {
		alive.mu.Lock()
		defer alive.mu.Unlock()
		delete(alive.stacks, id)
	}
}

// Leaked describes the threads that were not ended. It is empty if all were.
func Leaked() string {
	alive.mu.Lock()
	defer alive.mu.Unlock()
	var b strings.Builder
	for _, stack := range alive.stacks {
		fmt.Fprintf(&b, "foreign threads that nobody ended, made by:\n%s\n", stack)
	}
	return b.String()
}
