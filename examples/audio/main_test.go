package main

import (
	"context"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestWithoutJackItSaysSo(t *testing.T) {
	testenv.WithoutLibrary(t, open != nil, "libjack", func(ctx context.Context, out io.Writer) error {
		return run(ctx, out, settings{})
	})
}

// TestEveryBlock builds and runs the program as its comment says. How many blocks were
// silent, and the server's deadlines, are the machine's business; that none is wrong or
// missing is ours.
func TestEveryBlock(t *testing.T) {
	if _, err := exec.LookPath("jackd"); err != nil {
		testenv.Missing(t, "jack", err.Error())
	}
	out := testenv.LibraryExample(t, "jack", "jack", "-n", "400")
	t.Log(out)
	m := regexp.MustCompile(`\n(\d+) blocks: (\d+) played, (\d+) silent, (\d+) wrong; (\d+) levels lost\n` +
		`\d+ xruns, (\d+) collections of garbage; the longest callback took \S+\n$`).FindStringSubmatch(out)
	require.NotNil(t, m, out)
	number := func(i int) (n int) {
		n, err := strconv.Atoi(m[i])
		require.NoError(t, err)
		return n
	}
	assert.GreaterOrEqual(t, number(1)+number(5), 400)
	assert.Equal(t, number(1), number(2)+number(3))
	assert.Positive(t, number(2))
	assert.Zero(t, number(4))
	assert.Positive(t, number(6), "the collector was to be busy")
	assert.Contains(t, out, "█", "no bar was drawn")
}
