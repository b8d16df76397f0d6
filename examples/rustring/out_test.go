package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/golden"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/ring"
)

// What read of out.rs reads and writes in the control block, in its order.
var outAccesses = []string{
	"word MAGIC", "word ABI", "word PID",
	"word GENERATION", "native CONSUMER", "native POSITION",
	"word INSIDE",
	"native CONSUMER", "word GENERATION", "native POSITION", "word SIZE", "word MAX", "native DATA",
	"native CONSUMER", "native CONSUMER", "native HELD", "native CONSUMER",
	"word INSIDE",
}

// out.rs against the header: each offset of the control block and each constant.
func TestOutNumbers(t *testing.T) {
	file, err := os.ReadFile("out.rs")
	require.NoError(t, err)
	text := regexp.MustCompile(`//.*`).ReplaceAllString(string(file), "")
	header := golden.Values(golden.Constants(t, ring.Header()))
	var want []string
	for _, a := range outAccesses {
		kind, name, _ := strings.Cut(a, " ")
		offset, ok := header["NOTIFIER_OUT_OFFSET_"+name]
		require.True(t, ok, name)
		want = append(want, fmt.Sprintf("%s(%d)", kind, offset))
	}
	assert.Equal(t, want, regexp.MustCompile(`\b(?:word|native)\([^)]*\)`).FindAllString(text, -1))
	for name := range header {
		if field, ok := strings.CutPrefix(name, "NOTIFIER_OUT_OFFSET_"); ok {
			assert.Contains(t, strings.Join(outAccesses, " "), " "+field, "the control block has a word that out.rs knows nothing of")
		}
	}
	constants := regexp.MustCompile(`(?m)^const (\w+): \w+ = (\w+);`).FindAllStringSubmatch(text, -1)
	require.Len(t, constants, 3)
	for _, m := range constants {
		assert.Equal(t, header["NOTIFIER_OUT_"+m[1]], number(t, m[2]), m[1])
	}
}

// Rust reads what Go writes.
func TestReadByRust(t *testing.T) {
	assert.Contains(t, testenv.RustExample(t)("-n", "100"),
		"\nread 10000 records of an Out, 0 wrong; it gives 0 when there is none, 9 for one that does not fit into 8, 0 after Close\n")
}
