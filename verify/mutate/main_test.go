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

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

func TestMutationsFit(t *testing.T) {
	root := filepath.Join("..", "..")
	tests := map[string]string{} // by package
	for _, pkg := range []string{"notifier", "ring"} {
		files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			tests[pkg] += string(text)
		}
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(mutations), 20)
	names := map[string]bool{}
	for _, m := range mutations {
		assert.False(t, names[m.name], "%s is there twice", m.name)
		names[m.name] = true
		path, changed, err := m.apply(m.dir(root))
		if assert.NoError(t, err, "bring verify/mutate/mutations.go up to date") {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.NotEqual(t, string(text), string(changed), m.name)
		}
		assert.NotEmpty(t, m.why, m.name)
		for _, name := range strings.Split(alternatives([]string{m.first, m.long}), "|") {
			if name != "" {
				assert.True(t, strings.Contains(tests[filepath.Base(m.dir(root))], "func "+name+"(t *testing.T)"), "%s: there is no %s", m.name, name)
			}
		}
		assert.True(t, strings.Contains(string(readme), "| `"+m.name+"` |"), "verify/README.md has no row for %s: go run ./verify/mutate -table", m.name)
	}
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

// Layout and comments of the source are nothing to a mutation.
func TestFind(t *testing.T) {
	const code = "if a { return nil }; f(x)"
	for text, want := range map[string]string{
		"b(); if a {\n\t// why\n\treturn nil // so\n}\n\n/* and */\nf(\n\tx,\n) // last\ng()": "if a {\n\t// why\n\treturn nil // so\n}\n\n/* and */\nf(\n\tx,\n)",
		"if a { return nil }; f(x); g()": "if a { return nil }; f(x)",
		"if a { return nil }; f(y)":      "",
		"if a { return nil }\ng()\nf(x)": "",
		code + "; " + code:               "",
		"// " + code:                     "",
		"s := `" + code + "`":            "",
	} {
		from, to, err := find([]byte(text), []byte(code))
		if want == "" {
			assert.Error(t, err, text)
		} else if assert.NoError(t, err, text) {
			assert.Equal(t, want, text[from:to])
		}
	}
	_, _, err := find([]byte(code), nil)
	assert.Error(t, err)
}

func TestFunction(t *testing.T) {
	const text = "package p\n\nfunc f() {}\n\nfunc (r *R[T]) f() { a() }\n\nfunc (s S) f() { b() }\n"
	for name, want := range map[string]string{"f": "func f() {}", "R.f": "func (r *R[T]) f() { a() }", "S.f": "func (s S) f() { b() }", "g": "", "S": ""} {
		first, last, err := function([]byte(text), name)
		require.NoError(t, err)
		assert.Equal(t, want, text[first:last])
	}
	_, _, err := function([]byte("package"), "f")
	assert.Error(t, err)
	_, _, err = mutation{name: "m", in: "f"}.apply(t.TempDir())
	assert.Error(t, err)
}
