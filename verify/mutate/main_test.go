package main

// This file checks that the mutations still fit the sources that they are to break, and
// that verify/README.md has them all.

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMutationsFit(t *testing.T) {
	dir := filepath.Join("..", "..", "notifier")
	tests := ""
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tests += string(text)
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(mutations), 20)
	names, stale := map[string]bool{}, 0
	for _, m := range mutations {
		assert.False(t, names[m.name], "%s is there twice", m.name)
		names[m.name] = true
		text, err := os.ReadFile(filepath.Join(dir, m.file))
		require.NoError(t, err)
		if changed, err := m.apply(string(text)); err != nil {
			t.Log(err)
			stale++
		} else {
			assert.NotEqual(t, string(text), changed, m.name)
		}
		assert.NotEmpty(t, m.why, m.name)
		for _, name := range strings.Split(alternatives([]string{m.first, m.long}), "|") {
			if name != "" {
				assert.True(t, strings.Contains(tests, "func "+name+"(t *testing.T)"), "%s: there is no %s", m.name, name)
			}
		}
		assert.True(t, strings.Contains(string(readme), "| `"+m.name+"` |"), "verify/README.md has no row for %s: go run ./verify/mutate -table", m.name)
	}
	// A change of the sources may leave one or two behind; mutate itself says so.
	assert.LessOrEqual(t, stale, len(mutations)/10, "bring verify/mutate/mutations.go up to date")
}

func TestCulprit(t *testing.T) {
	for log, name := range map[string]string{
		"=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n    --- FAIL: TestB/x (0.00s)\n--- FAIL: TestB (0.00s)\n": "TestB",
		"=== RUN   TestA\n--- PASS: TestA\nthe tests left something behind:":                                                  "TestMain",
		"=== RUN   TestA\n=== RUN   TestA/sub\npanic: test timed out":                                                         "TestA",
		"": "a crash",
	} {
		assert.Equal(t, name, culprit(log))
	}
}
