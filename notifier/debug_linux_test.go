package notifier

// This file tests what notifier.h answers and, if it was compiled with NOTIFIER_DEBUG,
// says of numbers that are no handles: testdata/c/debug.c, which calls ring.h too.

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNumbersThatNameNothing(t *testing.T) {
	want := map[string]string{
		"good": "0", "closed": "-1", "closed ring": "-1",
		"zero": "-2", "truncated": "-2", "pointer": "-2", "ring's": "-2", "magic": "-2",
		"zero ring": "-2", "truncated ring": "-2", "notifier's": "-2", "ring magic": "-2",
		"closed Out": "0", "ring's in read": "0", "notifier's in read": "0", "Out's": "-2", "Out's in push": "-2", "retired": "-2",
	}
	says := []string{
		"notifier_notify(N): 0 is no handle",
		"lost its upper half",
		"this is the number of a ring: it belongs in notifier_ring_push",
		"notifier_notify(N): this is the number of an Out: it belongs in notifier_out_read",
		"a call of ring.h(N): this is the number of an Out: it belongs in notifier_out_read",
		"notifier_notify(N): this is the number of a ring or an Out that ended long ago",
		"a call of an Out's in ring.h(N): this is the number of a ring: it belongs in notifier_ring_push",
		"a call of an Out's in ring.h(N): this is the handle of a notifier: it belongs in notifier_notify",
		"a call of ring.h(N): 0 is no handle",
		"this is the handle of a notifier: it belongs in notifier_notify",
		"somebody wrote over the first word",
	}
	for _, debug := range []bool{false, true} {
		flags, args := with(plain, "-I../ring"), []string(nil)
		if debug {
			flags, args = with(flags, "-DNOTIFIER_DEBUG"), []string{"all"}
			want["unmapped"], want["unreadable"] = "-2", "-2"
			says = append(says, "there is no memory where it points")
		}
		program := build(t, "gcc", flags, "debug.c")
		c := exec.CommandContext(t.Context(), program, args...)
		var out, err strings.Builder
		c.Stdout, c.Stderr = &out, &err
		require.NoError(t, c.Run(), err.String())
		got := map[string]string{}
		for line := range strings.Lines(out.String()) {
			i := strings.LastIndex(line, " ")
			got[line[:i]] = strings.TrimSpace(line[i+1:])
		}
		assert.Equal(t, want, got)
		if !debug {
			assert.Empty(t, err.String())
			continue
		}
		said := regexp.MustCompile(`\(0x[0-9a-f]{16}\)`).ReplaceAllString(err.String(), "(N)")
		for _, what := range says {
			assert.Contains(t, said, what)
		}
		assert.Equal(t, len(want)-4, strings.Count(err.String(), "\n"), "a line for each wrong number, and none for others:\n%s", err.String())
	}
}
