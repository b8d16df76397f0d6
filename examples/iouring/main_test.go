package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

func TestNothingIsLost(t *testing.T) {
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(out.Bytes(), []byte("nothing to show here")) {
		t.Skip(out.String())
	}
	want := regexp.MustCompile(`^1000000 operations completed, 0 lost, in \S+
the kernel signalled \d+ times; the goroutine woke up \d+ times, for \d+ completions at most
$`)
	if !want.Match(out.Bytes()) {
		t.Errorf("printed:\n%s", &out)
	}
}
