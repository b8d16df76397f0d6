package testenv

// This file holds what the tests of examples in other languages run.

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// Run runs a program to its end, with more variables in its environment, and
// returns what it printed. The test fails if the program does, or says anything on
// its standard error.
func Run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(cmd.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	if errs.Len() != 0 {
		t.Errorf("%s %s said on its standard error:\n%s", name, strings.Join(args, " "), &errs)
	}
	return out.String()
}

// Rustc compiles Rust with warnings as errors, or skips the test.
func Rustc(t testing.TB, args ...string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("notifier.rs is for Linux")
	}
	if testing.Short() || os.Getenv("CI") != "" && !strings.Contains(os.Getenv("WAKECHAN_REQUIRE"), "rustc") {
		t.Skip("in short mode, or the gate's C stage has it: rustc takes seconds")
	}
	if _, err := exec.LookPath("rustc"); err != nil {
		Missing(t, "rustc", err.Error())
	}
	Run(t, nil, "rustc", append([]string{"--edition", "2021", "-O", "-D", "warnings"}, args...)...)
}
