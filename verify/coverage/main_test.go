package main

// This file checks that the figure is right, and that too low a one fails; and what the
// list makes fail.

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFigure(t *testing.T) {
	profile := func(reached int) string {
		return fmt.Sprintf("mode: set\n%[1]snotifier/a.go:1.2,3.4 89 1\n%[1]snotifier/a.go:5.2,6.4 11 %[2]d\n"+
			"%[1]snotifier/a.go:1.2,3.4 89 0\n%[1]sexamples/x/a.go:1.2,3.4 500 0\n", module, reached)
	}
	for reached, code := range []int{1, 0} {
		blocks, err := parse(profile(reached))
		require.NoError(t, err)
		assert.Len(t, blocks, 3)
		assert.Equal(t, code, report(blocks, true), "89 of 100, and the example does not count")
	}
	_, err := parse("mode: set\nnonsense\n")
	require.Error(t, err)
}

const code = `package a

func (r *Ring[T]) read() error {
	if err := first(); err != nil {
		return err
	}
	if err := first(); err != nil {
		return err
	}
	switch x {
	case 1:
		// Why.

		f(func() { g() })
	}
	return nil
}

var once = sync.OnceValue(func() bool {
	return true
})
`

// named has the blocks of code, of which those in lines that are given were reached.
func named(t *testing.T, reached ...int) map[string]*block {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "notifier"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(root, "notifier", "a.go"), []byte(code), 0o666))
	profile := "mode: set\n" + module + "examples/none.go:1.1,2.2 1 0\n"
	for _, at := range []string{"3.32,4.35", "4.35,6.3", "7.35,9.3", "11.9,14.20", "14.13,14.20", "16.2,16.12", "19.38,21.2"} {
		var line int
		_, _ = fmt.Sscan(at, &line)
		count := 0
		for _, r := range reached {
			if line == r {
				count = 1
			}
		}
		profile += fmt.Sprintf("%snotifier/a.go:%s 1 %d\n", module, at, count)
	}
	blocks, err := parse(profile)
	require.NoError(t, err)
	require.NoError(t, name(root, blocks))
	return blocks
}

func TestEntries(t *testing.T) {
	var entries []string
	for _, b := range inOrder(named(t)) {
		if counts(b.file) {
			entries = append(entries, b.entry)
		}
	}
	assert.Equal(t, []string{
		"notifier/a.go Ring.read: func (r *Ring[T]) read() error { if err := first(); err != nil {",
		"notifier/a.go Ring.read (1): if err := first(); err != nil { return err",
		"notifier/a.go Ring.read (2): if err := first(); err != nil { return err",
		"notifier/a.go Ring.read: case 1: f(func() { g() })",
		"notifier/a.go Ring.read: f(func() { g() })",
		"notifier/a.go Ring.read: return nil",
		"notifier/a.go once: var once = sync.OnceValue(func() bool { return true",
	}, entries)
	blocks, err := parse(module + "notifier/none.go:1.1,2.2 1 0\n")
	require.NoError(t, err)
	require.Error(t, name(t.TempDir(), blocks), "there is no such file")
}

func TestList(t *testing.T) {
	text := func(entries string) []string {
		return listed("## Before\n```text\nnotifier/b.go f: no\n```\n## Coverage\nnotifier/c.go f: no\n```sh\nnotifier/d.go f: no\n```\nWhy:\n\n" +
			"  ```text\n  " + entries + "\n  ```\n## After\n```text\nnotifier/e.go f: no\n```\n")
	}
	assert.Empty(t, text(""))
	const first, second = "notifier/a.go Ring.read (1): if err := first(); err != nil { return err", "notifier/a.go Ring.read (2): if err := first(); err != nil { return err"
	assert.Equal(t, []string{first, second}, text(first+"\n"+second))

	all := []int{3, 4, 7, 11, 14, 16, 19}
	assert.Equal(t, 0, compare(named(t, all...), nil))
	assert.Equal(t, 0, compare(named(t, all...), []string{first}), "it is reached on some runs")
	assert.Equal(t, 1, compare(named(t, all[1:]...), nil), "one is not listed")
	assert.Equal(t, 1, compare(named(t, 3, 4, 11, 14, 16, 19), []string{first}), "the other is")
	assert.Equal(t, 0, compare(named(t, 3, 4, 11, 14, 16, 19), []string{second}))
	assert.Equal(t, 1, compare(named(t, all...), []string{"notifier/a.go Ring.read: gone"}), "it is not there any more")
	assert.Equal(t, 1, compare(named(t, all...), []string{first, first}), "twice")
}
