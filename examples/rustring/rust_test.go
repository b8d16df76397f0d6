package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// The example as its README runs it; with a ring that has room for all; and with one
// that is too small.
func TestExample(t *testing.T) {
	run := testenv.RustExample(t)
	counts := func(flags ...string) (received, lost int) {
		out := run(flags...)
		m := regexp.MustCompile(`^300000 samples by 3 threads: (\d+) received in \d+ wake-ups, (\d+) lost, (\d+) refused, 0 wrong\n`).FindStringSubmatch(out)
		require.NotNil(t, m, out)
		require.Equal(t, m[2], m[3], "each that was refused is counted")
		require.Equal(t, 300000, number(t, m[1])+number(t, m[2]))
		require.Contains(t, out, "\npush says -5 for a long one, -1 after Close, -2 for ring 0\n")
		return number(t, m[1]), number(t, m[2])
	}
	received, _ := counts()
	assert.Positive(t, received)
	_, lost := counts("-size", "16777216") // 40 bytes each
	assert.Zero(t, lost)
	_, lost = counts("-size", "4096", "-pause", "0s")
	assert.Positive(t, lost)
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
