package testenv

// This file holds what the tests of examples in other languages run.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// Run runs a program to its end, with more variables in its environment, and
// returns what it printed. The test fails if the program does, or says anything on
// its standard error.
func Run(t testing.TB, env []string, name string, args ...string) string {
	t.Helper()
	return RunIn(t, "", env, name, args...)
}

// RunIn is Run in a directory; "" is the test's own.
func RunIn(t testing.TB, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
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

// BuildFlags returns the flags of the go command for a program that a test builds, with
// cgo ("1") or without ("0"). With the race detector on, the program gets it too: else
// the standard library would be compiled a second time. It cannot have it without cgo.
func BuildFlags(cgo string) []string {
	if Race && cgo == "1" {
		return []string{"-race"}
	}
	return nil
}

// Cheap skips a test that builds a program with cgo or without, where BuildFlags cannot
// make that cheap, and tests that take long are not wanted.
func Cheap(t testing.TB, cgo string) {
	t.Helper()
	if Race && cgo == "0" && !Long() {
		t.Skip("would compile the standard library without the race detector: WAKECHAN_LONG is not set")
	}
}

// LibraryExample runs the example that the test is in, as its comment says: with the
// build tag that has it link the C library. It returns what the example printed. The
// tag is also the name by which WAKECHAN_REQUIRE asks for the library.
func LibraryExample(t testing.TB, tag, library string, flags ...string) string {
	t.Helper()
	for _, tool := range []string{"go", "gcc", "pkg-config"} {
		if _, err := exec.LookPath(tool); err != nil {
			Missing(t, tag, err.Error())
		}
	}
	if err := exec.Command("pkg-config", "--exists", library).Run(); err != nil {
		Missing(t, tag, "pkg-config knows no "+library)
	}
	if !Long() {
		t.Skip("compiles C")
	}
	// cgo also when this test is built without.
	return Run(t, []string{"CGO_ENABLED=1"}, "go", append([]string{"run", "-tags", tag, "."}, flags...)...)
}

// WithoutLibrary fails unless the example, built without its C library, says so and does
// nothing else. It is skipped where the example was built with it.
func WithoutLibrary(t testing.TB, with bool, library string, run func(context.Context, io.Writer) error) {
	t.Helper()
	if with {
		t.Skip("this is built with " + library)
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "nothing to show here: built without "+library) {
		t.Errorf("printed:\n%s", &out)
	}
}

// Rustc compiles Rust with warnings as errors, or skips the test.
func Rustc(t testing.TB, args ...string) {
	t.Helper()
	needRustc(t)
	Run(t, nil, "rustc", append([]string{"--edition", "2021", "-O", "-D", "warnings"}, args...)...)
}

func needRustc(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("notifier.rs is for Linux")
	}
	if !Long() || os.Getenv("CI") != "" && !strings.Contains(os.Getenv("WAKECHAN_REQUIRE"), "rustc") {
		t.Skip("WAKECHAN_LONG is not set, or the gate's C stage has it: rustc takes seconds")
	}
	if _, err := exec.LookPath("rustc"); err != nil {
		Missing(t, "rustc", err.Error())
	}
}

// RustExample runs "go generate" in a copy of the example that the test is in, and
// returns a function that runs "go run -tags rust ." with flags there: the commands
// that the example's README tells of. What they warn of fails the test.
func RustExample(t testing.TB) (run func(flags ...string) string) {
	t.Helper()
	needRustc(t)
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
		Missing(t, "cgo", "the example links Rust into Go")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	example := filepath.Base(here)
	commands := "```\ncd examples/" + example + "\ngo generate\ngo run -tags rust .\n```\n"
	if readme, err := os.ReadFile("README.md"); err != nil || !strings.Contains(string(readme), commands) {
		t.Fatalf("the README does not tell of these commands (%v):\n%s", err, commands)
	}
	copied := t.TempDir()
	copySources(t, filepath.Dir(here), copied)
	dir := filepath.Join(copied, example)
	env := []string{"GOWORK=" + workspace(t, copied, filepath.Join(here, "..", ".."))}
	RunIn(t, dir, env, "go", "generate")
	return func(flags ...string) string {
		t.Helper()
		return RunIn(t, dir, env, "go", append([]string{"run", "-tags", "rust", "."}, flags...)...)
	}
}

// copySources copies the Go and Rust of the directories in from, and nothing that was
// made of it.
func copySources(t testing.TB, from, to string) {
	t.Helper()
	for _, kind := range []string{"*.go", "*.rs"} {
		paths, err := filepath.Glob(filepath.Join(from, "*", kind))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(to, filepath.Base(filepath.Dir(path)))
			if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o666)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// workspace makes dir a module that finds the one at root as it is there, and
// returns what GOWORK must be for that.
func workspace(t testing.TB, dir, root string) (path string) {
	t.Helper()
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go .+$`).Find(module)
	path = filepath.Join(dir, "go.work")
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, "module copy.invalid/examples\n\n%s\n", version), 0o666),
		os.WriteFile(path, fmt.Appendf(nil, "%s\n\nuse (\n\t.\n\t%q\n)\n", version, root), 0o666),
	); err != nil {
		t.Fatal(err)
	}
	return path
}
