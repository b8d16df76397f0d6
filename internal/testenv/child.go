package testenv

// This file holds tests that need a process of their own: they run themselves
// again in one.

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

const childVariable = "WAKECHAN_CHILD"

// InChild tells whether this process is one that Child started.
func InChild() bool { return os.Getenv(childVariable) != "" }

// Again returns a command that runs this test binary with other arguments. Under
// an emulator WAKECHAN_EMULATOR must name that: the kernel cannot run the binary.
func Again(ctx context.Context, t testing.TB, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil || runtime.GOOS == "wasip1" || runtime.GOOS == "js" {
		Missing(t, "processes", "cannot run the test binary again")
	}
	if emulator := os.Getenv("WAKECHAN_EMULATOR"); emulator != "" {
		return exec.CommandContext(ctx, emulator, append([]string{self}, arguments...)...)
	}
	return exec.CommandContext(ctx, self, arguments...)
}

// Child runs the calling test again, alone, in a new process that may break what
// it likes. There it returns true. Here it returns false, after that process has
// ended well; if it has not, the test fails with what that printed.
//
//	if !testenv.Child(t) {
//		return
//	}
func Child(t *testing.T, environment ...string) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	inChild(t, (*exec.Cmd).CombinedOutput, environment...)
	return false
}

// ChildRaces is Child for a process in which the race detector must report a race.
func ChildRaces(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childVariable) == t.Name() {
		return true
	}
	inChild(t, func(c *exec.Cmd) ([]byte, error) {
		out, err := c.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "DATA RACE") {
			return out, errors.New("no race was reported")
		}
		return out, nil
	})
	return false
}

// inChild runs the calling test again, as Child does; run runs the command.
func inChild(t *testing.T, run func(*exec.Cmd) ([]byte, error), environment ...string) {
	t.Helper()
	arguments := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if testing.Short() {
		arguments = append(arguments, "-test.short")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 6*Patience())
	defer cancel()
	child := Again(ctx, t, arguments...)
	child.Env = append(append(os.Environ(), childVariable+"="+t.Name()), environment...)
	out, err := run(child)
	if err != nil && strings.Contains(err.Error(), "exec format error") { // ENOEXEC, which Plan 9 lacks
		Missing(t, "processes", "the test binary runs only under an emulator")
	}
	if strings.Contains(string(out), "--- SKIP: "+t.Name()) {
		t.Skipf("in a process of its own: %s", out)
	}
	if err != nil {
		t.Fatalf("in a process of its own: %v\n%s", err, out)
	}
}
