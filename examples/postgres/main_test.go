package main

import (
	"regexp"
	"testing"

	"github.com/wakechan/wakechan/internal/postgres"
	"github.com/wakechan/wakechan/internal/testenv"
)

func TestWithoutLibpqItSaysSo(t *testing.T) {
	testenv.WithoutLibrary(t, open != nil, "libpq", run)
}

// TestAllArrive runs the program as its comment says.
func TestAllArrive(t *testing.T) {
	if !postgres.Installed() {
		testenv.Missing(t, "postgres", postgres.ErrMissing.Error())
	}
	out := testenv.LibraryExample(t, "postgres", "libpq")
	want := regexp.MustCompile(`^(?: *\d+ ms: notified of "order \d+"\n){10}10 notifications received, 0 lost\n$`)
	if !want.MatchString(out) {
		t.Errorf("printed:\n%s", out)
	}
}
