package chanadapter

// This file holds TestMain, which fails the run if the tests left something behind,
// and what all tests of the package use.

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wakechan/wakechan/internal/leak"
	"github.com/wakechan/wakechan/internal/testenv"
)

func TestMain(m *testing.M) {
	// The self-check looks at everything anew and would hide a lost edge.
	watchInterval = time.Hour
	os.Exit(leak.Check{Also: watchersLeft}.Run(m))
}

func watchersLeft() string {
	if sharedSet() != nil {
		return "Watchers were left open\n"
	}
	return ""
}

// ourGoroutines returns the stacks of the package's goroutines.
func ourGoroutines() (stacks []string) {
	for _, s := range leak.Goroutines() {
		if strings.Contains(s, "wakechan/chanadapter.") {
			stacks = append(stacks, s)
		}
	}
	return stacks
}

func sharedSet() *watchSet {
	process.mu.Lock()
	defer process.mu.Unlock()
	for k, s := range process.sets {
		if k.set == "" && k.group == nil {
			return s
		}
	}
	return nil
}

var (
	patience        = testenv.Context
	receive         = testenv.Receive
	none            = testenv.None
	openDescriptors = leak.Descriptors
)
