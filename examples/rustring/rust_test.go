package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/golden"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
	"github.com/wakechan/wakechan/ring"
)

// What push reads and writes in the control block, in its order: in Rust, and by the
// header's name.
var accesses = [][2]string{
	{"word", "MAGIC"}, {"word", "ABI"}, {"word", "PID"},
	{"native", "POSITION"}, {"word", "GENERATION"}, {"word", "SIZE"},
	{"word", "MAX"}, {"native", "POSITION"}, {"native", "LOST"},
	{"native", "DATA"}, {"word", "FLAGS"}, {"native", "CONSUMER"}, {"word", "WAITING"}, {"native", "POSITION"}, {"native", "LOST"},
	{"native", "POSITION"},
	{"word", "WANTED"}, {"native", "CONSUMER"}, {"word", "NOTIFIER"}, {"word", "NOTIFIER+4"}, {"word", "WANTED"},
	{"word", "GENERATION"},
}

// What push has no use for: who does not know of SINGLE reserves as for any ring, and
// nobody waits here. What is kept for a producer that waits is in WAITING, whoever OWNER is.
var unused = []string{"GIVEN", "ENTERED", "QUEUE", "TURN", "OWNER"}

// ring.rs against the header: each offset of the control block and each constant.
func TestNumbers(t *testing.T) {
	file, err := os.ReadFile("ring.rs")
	require.NoError(t, err)
	text, _, _ := strings.Cut(regexp.MustCompile(`//.*`).ReplaceAllString(string(file), ""), "#[cfg(test)]")
	header := golden.Values(golden.Constants(t, ring.Header()))
	offset := func(name string) string {
		name, second := strings.CutSuffix(name, "+4")
		v, ok := header["NOTIFIER_RING_OFFSET_"+name]
		require.True(t, ok, name)
		if second {
			v += 4
		}
		return strconv.FormatInt(v, 10)
	}

	var want []string
	used := map[string]bool{}
	for _, a := range accesses {
		want = append(want, fmt.Sprintf("%s(%s)", a[0], offset(a[1])))
		used[strings.TrimSuffix(a[1], "+4")] = true
	}
	got := regexp.MustCompile(`\b(?:word|native)\([^)]*\)`).FindAllString(text, -1)
	assert.Equal(t, want, got, "where it is found, in the order of ring.rs; accesses has the names")
	for _, name := range unused {
		used[name] = true
	}
	for name := range header {
		if field, ok := strings.CutPrefix(name, "NOTIFIER_RING_OFFSET_"); ok {
			assert.Contains(t, used, field, "the control block has a word that ring.rs knows nothing of")
		}
	}

	// The constants of ring.rs have the header's names, and its errors those of the codes.
	constants := regexp.MustCompile(`(?m)^const (\w+): \w+ = (\w+);`).FindAllStringSubmatch(text, -1)
	require.Len(t, constants, 5)
	for _, m := range constants {
		assert.Equal(t, header["NOTIFIER_RING_"+m[1]], number(t, m[2]), m[1])
	}
	codes := map[string]int64{}
	_, list, _ := strings.Cut(text, "pub enum Error {")
	list, _, _ = strings.Cut(list, "}")
	for _, m := range regexp.MustCompile(`(\w+) = (-\w+),`).FindAllStringSubmatch(list, -1) {
		codes[m[1]] = number(t, m[2])
	}
	all := golden.Values(golden.Constants(t, notifier.Header()))
	maps.Copy(all, header)
	assert.Equal(t, map[string]int64{"Closed": all["NOTIFIER_CLOSED"], "Invalid": all["NOTIFIER_INVALID"], "Failed": all["NOTIFIER_FAILED"],
		"Full": all["NOTIFIER_FULL"], "TooLarge": all["NOTIFIER_TOO_LARGE"]}, codes)

	// Those that have no name there, each in the one place where it stands.
	for _, c := range []struct {
		pattern string
		names   []string
	}{
		{`\(ring >> (\w+) << (\w+)\)`, []string{"GENERATION_BITS", "BASE_SHIFT"}},
		{`\bp & (\w+) != 0`, []string{"POSITION_MASK"}},
		{`let span = (\w+) \+`, []string{"HEADER_SIZE"}},
		{`DROPPED \| \(pad - (\w+)\)`, []string{"HEADER_SIZE"}},
		{`let mirrored = word\(\w+\).load\(SeqCst\) & (\w+) != 0`, []string{"MIRRORED"}},
		{`wanted & (\w+) == 0`, []string{"WANTED"}},
		{`wanted & (\w+) != 0 && native`, []string{"HEAD_ONLY"}},
		{`wanted & !(\w+),`, []string{"WANTED"}},
	} {
		found := regexp.MustCompile(c.pattern).FindAllStringSubmatch(text, -1)
		if assert.Len(t, found, 1, c.pattern) {
			for i, name := range c.names {
				assert.Equal(t, header["NOTIFIER_RING_"+name], number(t, found[0][i+1]), "%s: %s", found[0][0], name)
			}
		}
	}
	generation := regexp.MustCompile(`let generation = ring as u32 & (\w+);`).FindStringSubmatch(text)
	require.NotNil(t, generation)
	assert.EqualValues(t, 1<<header["NOTIFIER_RING_GENERATION_BITS"]-1, number(t, generation[1]))
}

// ring.rs on a control block without Go.
func TestAnswers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ring")
	testenv.Rustc(t, "--test", "-A", "dead_code", "-o", program, "engine.rs")
	assert.Contains(t, testenv.Run(t, nil, program, "ring::"), "1 passed; 0 failed")
}

// The example as its README runs it; with a ring that has room for all; and with one
// that is too small.
func TestExample(t *testing.T) {
	run := testenv.RustExample(t)
	counts := func(flags ...string) (received, lost int) {
		out := run(flags...)
		m := regexp.MustCompile(`^300000 samples by 3 threads: (\d+) received in \d+ wake-ups, (\d+) lost, (\d+) refused, 0 wrong\n`).FindStringSubmatch(out)
		require.NotNil(t, m, out)
		require.Equal(t, m[2], m[3], "each that was refused is counted")
		require.EqualValues(t, 300000, number(t, m[1])+number(t, m[2]))
		require.Contains(t, out, "\npush says -5 for a long one, -1 after Close, -2 for ring 0\n")
		return int(number(t, m[1])), int(number(t, m[2]))
	}
	received, _ := counts()
	assert.Positive(t, received)
	_, lost := counts("-size", "16777216") // 40 bytes each
	assert.Zero(t, lost)
	_, lost = counts("-size", "4096", "-pause", "0s")
	assert.Positive(t, lost)
}

func number(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 0, 64)
	require.NoError(t, err)
	return n
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
