package ring

// This file holds TestMain, which fails the run if the tests left something behind,
// and what all tests of the package use.

import (
	"os"
	"strings"
	"testing"

	"github.com/wakechan/wakechan/internal/leak"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

func TestMain(m *testing.M) {
	// The default poller serves the rings and stays for a while, and the doorbells of
	// closed pollers wait for the next of their backends: see notifier.Poller.Close.
	n := notifier.New()
	_, _ = n.Handle()
	_ = n.Close()
	for _, backend := range notifier.Backends() {
		if p, err := notifier.NewPoller(notifier.WithBackend(backend)); err == nil {
			_ = p.Close()
		}
	}
	os.Exit(leak.Check{Goroutine: func(stack string) bool {
		return strings.Contains(stack, "notifier.(*Poller).run")
	}}.Run(m))
}

var (
	patience        = testenv.Context
	receive         = testenv.Receive
	none            = testenv.None
	openDescriptors = leak.Descriptors
)
