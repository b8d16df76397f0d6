package notifier

// This file holds the contract that every doorbell meets, and what is needed to
// pick one. The doorbells themselves are in wake_*.go: system calls, handles and
// errno, and no policy.

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// doorbell is the operating system's primitive that wakes a poller.
// One poller waits on it; anybody signals.
type doorbell interface {
	// descriptor is what foreign code needs to signal, beside the kind.
	descriptor() uint32

	// signal makes the present or next sleep of wait end. It never blocks, is
	// safe from any goroutine at any time, and may coalesce with other signals.
	// An error means that it did not happen; the next call tries again.
	signal() error

	// wait calls look, and sleeps while look returns false, calling it again
	// each time that it is woken. Signals that come after look was called end
	// the sleep; those before may. It returns nil when look returned true;
	// errSelfCheck when limit has passed, so that the poller looks after itself
	// (a system where nothing can break may never do that); any other error
	// means that the doorbell is broken for good. What has the descriptor's number by
	// now, if it is another's, is not read.
	wait(look func() bool, limit time.Duration) error

	// check returns an error if the descriptor is no longer the doorbell's:
	// somebody closed it, or put another in its place.
	check() error

	// discard frees a doorbell that nobody has seen. One that has been in a
	// block's header is never freed.
	discard()
}

// errSelfCheck is what wait returns when it is time for the poller's self-check.
var errSelfCheck = errors.New("notifier: time for the self-check")

// The kinds of doorbell in a block's header: NOTIFIER_BELL_… in notifier.h.
const (
	kindNone    = 0 // the poller is broken: do not signal
	kindEventFD = 1 // write the number 1, 8 bytes
	kindPipe    = 2 // write a byte
	kindKqueue  = 3 // trigger EVFILT_USER, ident 0
	kindIOCP    = 4 // post an empty packet
	kindLoop    = 5 // Go only: call the poller's own
)

// backend is a way to make a doorbell.
type backend struct {
	name string
	kind uint32
	open func() (doorbell, error)
}

// backendVariable is the environment variable that chooses the backend where the
// program does not: for a support case, without a new build.
const backendVariable = "NOTIFIER_BACKEND"

// working has the names of the backends that have worked in this process.
var working sync.Map

func (b backend) try() (doorbell, error) {
	bell, err := b.open()
	if err == nil {
		working.Store(b.name, true)
	}
	return bell, err
}

// works tries b, if it has not worked before: one that did not may only have
// been short of descriptors.
func (b backend) works() bool {
	if _, ok := working.Load(b.name); ok {
		return true
	}
	bell, err := b.try()
	if err == nil {
		bell.discard()
	}
	return err == nil
}

// Backends returns the names of the doorbells that work on this system, as this
// process finds it: each is tried once, and nothing of that is left. The first is
// the default, of [NewPoller] without [WithBackend] and of the process-wide poller;
// the environment variable NOTIFIER_BACKEND puts another one there by its name.
//
// It is empty where foreign code cannot wake a notifier at all.
func Backends() []string {
	var names []string
	chosen := os.Getenv(backendVariable)
	for _, b := range backends {
		switch {
		case !b.works():
		case b.name == chosen:
			names = slices.Insert(names, 0, b.name)
		default:
			names = append(names, b.name)
		}
	}
	return names
}

// openBackend opens the named doorbell, or with an empty name the first that
// works. It returns no bell for
// a backend of which spare says that the caller has one left.
func openBackend(name string, spare func(name string) bool) (bell doorbell, b backend, err error) {
	if len(backends) == 0 {
		return nil, backend{}, errUnsupported
	}
	var errs []error
	for _, b := range backends {
		if name != "" && name != b.name {
			continue
		}
		if spare(b.name) {
			return nil, b, nil
		}
		bell, err := b.try()
		if err == nil {
			return bell, b, nil
		}
		errs = append(errs, fmt.Errorf("notifier: no %s doorbell: %w", b.name, err))
	}
	if name == "" {
		return nil, backend{}, errors.Join(errs...)
	}
	if err = fmt.Errorf("notifier: unknown backend %q", name); len(errs) > 0 {
		err = errs[0]
	}
	return nil, backend{}, fmt.Errorf("%w; this system has: %s", err, strings.Join(Backends(), ", "))
}
