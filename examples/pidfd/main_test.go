package main

import (
	"bytes"
	"context"
	"os/exec"
	"regexp"
	"runtime"
	"testing"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

func TestItTellsOfTheEnd(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS != "linux" {
		t.Skip("for Linux, with a shell")
	}
	var out bytes.Buffer
	if err := run(context.Background(), []string{"-for", "300ms"}, &out); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^process \d+ runs; its parent is process \d+, not this one \(\d+\)
(?: *\d+ ms: it still runs\n)* *\d+ ms: it has ended: one wake-up, no polling, no thread
$`)
	if !want.Match(out.Bytes()) {
		t.Errorf("printed:\n%s", &out)
	}
}

func TestItCanBeInterrupted(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS != "linux" {
		t.Skip("for Linux, with a shell")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out bytes.Buffer
	if err := run(ctx, []string{"-for", "60s"}, &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(out.Bytes(), []byte("interrupted\n")) {
		t.Errorf("printed:\n%s", &out)
	}
}
