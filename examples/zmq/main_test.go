package main

import (
	"regexp"
	"testing"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestWithoutLibzmqItSaysSo(t *testing.T) {
	testenv.WithoutLibrary(t, open != nil, "libzmq", run)
}

// TestAllArrive runs the program as its comment says.
func TestAllArrive(t *testing.T) {
	out := testenv.LibraryExample(t, "zmq", "libzmq")
	want := regexp.MustCompile(`^(?: *\d+ ms: burst \d of 8 is complete\n){8}4000 messages received, 0 lost, in \d+ wake-ups\n$`)
	if !want.MatchString(out) {
		t.Errorf("printed:\n%s", out)
	}
}
