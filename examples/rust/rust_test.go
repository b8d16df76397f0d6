package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wakechan/wakechan/internal/testenv"
)

// notifier.rs against the numbers of the ABI.
func TestRendering(t *testing.T) {
	program := filepath.Join(t.TempDir(), "notifier")
	testenv.Rustc(t, "--test", "-A", "dead_code", "-o", program, "notifier.rs")
	assert.Contains(t, testenv.Run(t, nil, program), "2 passed; 0 failed")
}

// The example as its README runs it; and quicker.
func TestExample(t *testing.T) {
	run := testenv.RustExample(t)
	out := run()
	assert.Regexp(t, regexp.MustCompile(`(?m)^10 items by 2 threads in \d+ wake-ups; notify says [01], after Close -1, for handle 0 -2$`), out)
	assert.Contains(t, out, ", 10 in all\n")

	out = run("-n", "20", "-threads", "3", "-interval", "1ms")
	assert.Regexp(t, regexp.MustCompile(`(?m)^60 items by 3 threads in \d+ wake-ups; notify says [01], after Close -1, for handle 0 -2$`), out)
	assert.Contains(t, out, ", 60 in all\n")
}

// Without the tag it says what to do.
func TestWithoutRust(t *testing.T) {
	if !testenv.Long() || runtime.GOOS != "linux" {
		t.Skip("runs the go command")
	}
	cmd := exec.Command("go", "run", ".")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); !ok {
		testenv.Missing(t, "go", "cannot run the go command")
	}
	assert.Contains(t, errs.String(), "go generate && go run -tags rust .")
}
