package main

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
	"github.com/wakechan/wakechan/ring"
)

// output runs the meter and returns what its last line counts.
func output(t *testing.T, s settings) (out string, pushed, received, lost int) {
	t.Helper()
	if len(notifier.Backends()) == 0 {
		t.Skip("no doorbell on this system")
	}
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience())
	defer cancel()
	var b bytes.Buffer
	require.NoError(t, run(ctx, &b, s), "%s", &b)
	require.NoError(t, ctx.Err())
	m := regexp.MustCompile(`(?m)^(\d+) blocks pushed, (\d+) received in \d+ wake-ups, (\d+) lost; the longest push took \S+$`).FindStringSubmatch(b.String())
	require.NotNil(t, m, "%s", &b)
	pushed, _ = strconv.Atoi(m[1])
	received, _ = strconv.Atoi(m[2])
	lost, _ = strconv.Atoi(m[3])
	return b.String(), pushed, received, lost
}

func TestMeter(t *testing.T) {
	out, pushed, received, lost := output(t, settings{blocks: 400, period: time.Millisecond, size: 1 << 16})
	assert.Equal(t, 400, pushed)
	assert.Equal(t, 400, received)
	assert.Zero(t, lost)
	assert.True(t, strings.HasPrefix(out, who))
	assert.Contains(t, out, "█", "no bar was drawn")
}

// A reader that is away makes the thread lose blocks, not wait: each is counted.
func TestMeterOverflows(t *testing.T) {
	for try := 1; ; try++ {
		_, pushed, received, lost := output(t, settings{blocks: 5000, period: 20 * time.Microsecond, size: 4096, nap: 300 * time.Millisecond})
		require.Equal(t, 5000, pushed)
		require.Equal(t, 5000, received+lost)
		require.Positive(t, received)
		if lost > 0 {
			return
		}
		require.Less(t, try, 20, "nothing is ever lost") // the thread got no processor during the nap
	}
}

// A record that is no level is counted as lost, so the numbers do not add up, and the
// program says so.
func TestMeterFails(t *testing.T) {
	if len(notifier.Backends()) == 0 {
		t.Skip("no doorbell on this system")
	}
	r, err := ring.New(4096)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Push([]byte("no level")))
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience())
	defer cancel()
	var b bytes.Buffer
	require.ErrorContains(t, show(ctx, &b, r, settings{blocks: 3, period: time.Millisecond}), "blocks are missing", "%s", &b)
	require.NoError(t, ctx.Err())
	require.Regexp(t, `(?m)^3 blocks pushed, 3 received in \d+ wake-ups, 1 lost`, b.String())
	require.ErrorIs(t, r.Err(), ring.ErrClosed)
}

func TestBar(t *testing.T) {
	assert.Equal(t, strings.Repeat("·", 20), bar(0))
	assert.Equal(t, strings.Repeat("█", 10)+strings.Repeat("·", 10), bar(0.1))
	assert.Equal(t, strings.Repeat("█", 20), bar(2))
}
