package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wakechan/wakechan/internal/testenv"
)

func rustc(t *testing.T, args ...string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("notifier.rs is for Linux")
	}
	if testing.Short() || os.Getenv("CI") != "" && !strings.Contains(os.Getenv("WAKECHAN_REQUIRE"), "rustc") {
		t.Skip("in short mode, or the gate's C stage has it: rustc takes seconds")
	}
	if _, err := exec.LookPath("rustc"); err != nil {
		testenv.Missing(t, "rustc", err.Error())
	}
	run(t, nil, "rustc", append([]string{"--edition", "2021", "-O", "-D", "warnings"}, args...)...)
}

func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*testenv.Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s %s\n%s%s", name, strings.Join(args, " "), &out, &errs)
	assert.Empty(t, errs.String())
	return out.String()
}

// notifier.rs against the numbers of the ABI.
func TestRendering(t *testing.T) {
	program := filepath.Join(t.TempDir(), "notifier")
	rustc(t, "--test", "-A", "dead_code", "-o", program, "notifier.rs")
	assert.Contains(t, run(t, nil, program), "2 passed; 0 failed")
}

// The example as its README runs it.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	rustc(t, "--crate-type", "staticlib", "-o", filepath.Join(dir, "libengine.a"), "engine.rs")
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
		testenv.Missing(t, "cgo", "the example links Rust into Go")
	}
	program := filepath.Join(dir, "rust")
	run(t, []string{"CGO_LDFLAGS=-L" + dir}, "go", "build", "-tags", "rust", "-o", program, ".")
	out := run(t, nil, program, "-n", "20", "-threads", "3", "-interval", "1ms")
	assert.Regexp(t, regexp.MustCompile(`(?m)^60 items by 3 threads in \d+ wake-ups; notify says [01], after Close -1, for handle 0 -2$`), out)
	assert.Contains(t, out, ", 60 in all\n")
}

// Without the tag it says what to do.
func TestWithoutRust(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
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
