//go:build linux && amd64 && !wakechan_fakelibc

package notifier

// This file holds that the C functions work in every build mode. Shared libraries and
// plugins are built from testdata/buildmodes; the others are this package's own tests,
// built again.

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// goCommand runs the go command, with more variables in its environment.
func goCommand(t *testing.T, env []string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Env = append(os.Environ(), append(env, "WAKECHAN_BUILDS=")...) // or this package's tests would do it all again
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%q go %q\n%s", env, args, out)
	return string(out)
}

// needBuilds ends a test that takes minutes, but where it is wanted, and where there is
// a C compiler.
func needBuilds(t *testing.T) {
	t.Helper()
	if os.Getenv("WAKECHAN_BUILDS") == "" || testenv.Race {
		t.Skip("builds this package again and again: WAKECHAN_BUILDS=1 says to, as in the gate's stage for callbacks")
	}
	if strings.TrimSpace(goCommand(t, nil, "env", "CGO_ENABLED")) != "1" {
		testenv.Missing(t, "cgo", "it is off")
	}
	tool(t, "gcc")
}

// oldestGo returns the toolchain of the oldest Go that go.mod allows, and whether it can
// be had.
func oldestGo(t *testing.T) (toolchain string, err error) {
	t.Helper()
	toolchain = "go" + strings.TrimSpace(goCommand(t, nil, "list", "-m", "-f", "{{.GoVersion}}"))
	c := exec.CommandContext(t.Context(), "go", "version")
	c.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain)
	out, err := c.CombinedOutput() // loads it
	if err != nil {
		return toolchain, fmt.Errorf("%w: %s", err, out)
	}
	require.Contains(t, string(out), "go version "+toolchain+" ")
	return toolchain, nil
}

func TestCallbackBuildModes(t *testing.T) {
	needBuilds(t)
	oldest, noOldest := oldestGo(t)
	for _, mode := range []struct {
		name  string
		env   []string
		flags []string
	}{
		{"pure", []string{"CGO_ENABLED=0"}, nil},
		{"pie", nil, []string{"-buildmode=pie"}},
		{"not optimised", nil, []string{"-gcflags=all=-N -l"}},
		{"race", nil, []string{"-race"}},
		{"asan", nil, []string{"-asan"}},
		{"the oldest Go", []string{"GOTOOLCHAIN=" + oldest}, nil},
		{"external, ibt and shstk", []string{"CGO_CFLAGS=-O2 -fcf-protection=full", "CGO_LDFLAGS=-Wl,-z,ibt -Wl,-z,shstk"},
			[]string{"-ldflags=-linkmode=external"}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			if mode.name == "the oldest Go" && noOldest != nil {
				testenv.Missing(t, "oldest-go", noOldest.Error())
			}
			args := append([]string{"test", "-short", "-count=1", "-v", "-run=^(TestCallback.*|TestBind.*|TestHandlePointer)$"}, mode.flags...)
			out := goCommand(t, mode.env, append(args, ".")...)
			require.Contains(t, out, "--- PASS: TestCallbacksAreTheHeader")
		})
	}
}

func TestCallbackSharedLibraries(t *testing.T) {
	needBuilds(t)
	dir := t.TempDir()
	source := filepath.Join("testdata", "buildmodes")
	// Addresses and handles go to C without a word from vet.
	goCommand(t, nil, "vet", "./"+filepath.Join(source, "library"))

	shared := filepath.Join(dir, "shared.so")
	goCommand(t, nil, "build", "-buildmode=c-shared", "-o", shared, "./"+filepath.Join(source, "library"))
	program := filepath.Join(dir, "program")
	run(t, "gcc", "-Wall", "-Wextra", "-Werror", "-o", program, filepath.Join(source, "main.c"), "-ldl")
	run(t, program, shared)

	plugin, host := filepath.Join(dir, "plugin.so"), filepath.Join(dir, "host")
	goCommand(t, nil, "build", "-buildmode=plugin", "-o", plugin, "./"+filepath.Join(source, "library"))
	goCommand(t, nil, "build", "-o", host, "./"+filepath.Join(source, "host"))
	run(t, host, plugin)
}
