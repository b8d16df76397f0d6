package main

import (
	"regexp"
	"testing"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestWithoutLibcurlItSaysSo(t *testing.T) {
	testenv.WithoutLibrary(t, open != nil, "libcurl", run)
}

// TestAllArrive runs the program as its comment says.
func TestAllArrive(t *testing.T) {
	out := testenv.LibraryExample(t, "curl", "libcurl")
	want := regexp.MustCompile(`^(?: *\d+ ms \[#*\.*\] \d+ of 50 files, \d+ kB\n)+50 files, 10000000 bytes, in \d+ wake-ups of one goroutine\n$`)
	if !want.MatchString(out) {
		t.Errorf("printed:\n%s", out)
	}
}
