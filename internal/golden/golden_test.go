package golden

// This file checks that a change of the API or the ABI in silence fails.

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

func TestDifference(t *testing.T) {
	assert.Empty(t, difference("func A()\n", "func A()\n"))
	assert.Equal(t, "+ func B()\n", difference("func A()\n", "func A()\nfunc B()\n"))
	assert.Equal(t, "- func A()\n+ func B()\n", difference("func A()\n", "func B()\n"))
}

func TestKept(t *testing.T) {
	const old = "ABI 1\nOFFSET 4\n"
	assert.NoError(t, Kept(old, old+"MORE 5\n", "ABI 1"))
	assert.ErrorContains(t, Kept(old, "ABI 1\nOFFSET 8\n", "ABI 1"), `"OFFSET 4" changed or went`)
	assert.ErrorContains(t, Kept(old, "ABI 1\n", "ABI 1"), "still ABI 1")
	assert.NoError(t, Kept(old, "ABI 2\nOFFSET 8\n", "ABI 2"))
	assert.NoError(t, Kept("", old, "ABI 1"))
}

func TestExported(t *testing.T) {
	lines, err := exported("x.go", []byte(`package p

import "os"

// Comments do not count.
type T struct {
	A int // nor here
	b int
}

func (t *T) M(a int) error { return nil }
func (t *T) m()            {}
func F[X any](x X)         {}

const C = 3

var V error = os.ErrClosed
var hidden int
`))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{
		"p: type T struct { A int }", "p: func (t *T) M(a int) error", "p: func F[X any](x X)", "p: const C = 3", "p: var V error",
	}, lines)
}

func TestConstants(t *testing.T) {
	list := Constants(t, "#define NOTIFIER_OK 0 /* fine */\n#define NOTIFIER_BAD (-1)\n#define NOTIFIER_MAGIC 0x10u\n"+
		"#define NOTIFIER_PRIVATE_ 7\n#define NOTIFIER_HAS_KQUEUE 1\n  #define NOTIFIER_INDENTED 2\n")
	assert.Equal(t, []Constant{{"NOTIFIER_OK", 0}, {"NOTIFIER_BAD", -1}, {"NOTIFIER_MAGIC", 16}}, list)
	assert.Equal(t, map[string]int64{"NOTIFIER_OK": 0, "NOTIFIER_BAD": -1, "NOTIFIER_MAGIC": 16}, Values(list))
}
