package main

import (
	"bytes"
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

// The example as its README runs it; and with a ring that is too small.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	testenv.Rustc(t, "--crate-type", "staticlib", "-o", filepath.Join(dir, "libringengine.a"), "engine.rs")
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
		testenv.Missing(t, "cgo", "the example links Rust into Go")
	}
	program := filepath.Join(dir, "rustring")
	testenv.Run(t, []string{"CGO_LDFLAGS=-L" + dir}, "go", "build", "-tags", "rust", "-o", program, ".")
	codes := "\npush says -5 for a long one, -1 after Close, -2 for ring 0\n"

	out := testenv.Run(t, nil, program, "-n", "20000", "-size", "16777216")
	assert.Regexp(t, regexp.MustCompile(`^60000 samples by 3 threads: 60000 received in \d+ wake-ups, 0 lost, 0 refused, 0 wrong`), out)
	assert.Contains(t, out, codes)

	out = testenv.Run(t, nil, program, "-n", "100000", "-pause", "0s", "-size", "4096")
	m := regexp.MustCompile(`^300000 samples by 3 threads: (\d+) received in \d+ wake-ups, (\d+) lost, (\d+) refused, 0 wrong`).FindStringSubmatch(out)
	require.NotNil(t, m, out)
	assert.Equal(t, m[2], m[3], "each that was refused is counted")
	assert.Equal(t, 300000, number(t, m[1])+number(t, m[2]))
	assert.Contains(t, out, codes)
}

func number(t *testing.T, s string) (n int) {
	for _, c := range s {
		require.Contains(t, "0123456789", string(c))
		n = 10*n + int(c-'0')
	}
	return n
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
