// Package wakechan_test holds what the documents must live up to: their code
// compiles and is what the tests run, and their links lead somewhere.
package wakechan_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// blocks returns the fenced blocks of a Markdown file in a language.
func blocks(t *testing.T, file, language string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	fence := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	var all []string
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}

// files returns the paths below here that match, in Git's part of the tree.
func files(t *testing.T, match func(path string) bool) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case !d.IsDir() && match(path):
			all = append(all, path)
		}
		return nil
	}))
	return all
}

// documents are those whose code must be some file's that is compiled.
func documents(t *testing.T) []string {
	t.Helper()
	return append([]string{"README.md"}, files(t, func(path string) bool {
		return filepath.Dir(path) == "docs" && strings.HasSuffix(path, ".md")
	})...)
}

var (
	block  = regexp.MustCompile("(?m)^(.*)\n```(go|c)\n((?:[^`].*\n|\n)*)```$")
	source = regexp.MustCompile(`^<!--code:(\S+)-->$`)
)

// flush returns a text's lines without what indents them.
func flush(text string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// Each Go block of a document, and each block that names a source, has lines that stand
// in that file one after the other. The file is compiled, and run by a test.
func TestDocumentsShowCodeThatRuns(t *testing.T) {
	found := 0
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			from := source.FindStringSubmatch(m[1])
			if from == nil {
				assert.Equal(t, "c", m[2], "%s does not say where this Go is from:\n%s", document, m[3])
				continue
			}
			code, err := os.ReadFile(filepath.FromSlash(from[1]))
			if assert.NoError(t, err, document) {
				assert.True(t, strings.Contains(flush(string(code)), flush(m[3])), "%s shows what does not stand in %s:\n%s", document, from[1], m[3])
			}
			found++
		}
	}
	assert.NotZero(t, found)
}

// The README's first program is a whole one, which a reader can paste.
func TestReadmeProgram(t *testing.T) {
	shown := blocks(t, "README.md", "go")
	require.NotEmpty(t, shown, "the README shows no Go")
	hello, err := os.ReadFile(filepath.Join("examples", "hello", "main.go"))
	require.NoError(t, err)
	assert.Equal(t, string(hello), shown[0])
	assert.Less(t, strings.Count(shown[0], "\n"), 60, "lines")
}

// The README is read in some minutes.
func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Less(t, len(strings.Fields(string(text))), 900, "words")
}

// Each C block of a document compiles as C and as C++, warnings being errors, unless it
// names a source, which is compiled anyway.
func TestDocumentsC(t *testing.T) {
	var shown []string
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			if m[2] == "c" && !source.MatchString(m[1]) {
				shown = append(shown, m[3])
			}
		}
	}
	require.NotEmpty(t, shown, "the documents show no C")
	for language, compilers := range map[string][]string{"c": {"cc", "gcc", "clang"}, "c++": {"c++", "g++", "clang++"}} {
		t.Run(language, func(t *testing.T) {
			var compiler string
			for _, name := range compilers {
				if path, err := exec.LookPath(name); err == nil {
					compiler = path
					break
				}
			}
			if compiler == "" {
				testenv.Missing(t, language, "none of "+strings.Join(compilers, ", ")+" is there")
			}
			std := map[string]string{"c": "-std=c11", "c++": "-std=c++17"}[language]
			for _, block := range shown {
				cmd := exec.Command(compiler, "-x", language, std, "-Wall", "-Wextra", "-Wpedantic", "-Werror",
					"-I", "notifier", "-I", "ring", "-fsyntax-only", "-")
				cmd.Stdin = strings.NewReader(block)
				out, err := cmd.CombinedOutput()
				assert.NoError(t, err, "%s\n%s", block, out)
			}
		})
	}
}

// The two commands that the README promises are there, each in a block of its own that
// is marked to be run: the gate runs all that are marked, from a clean clone.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, command := range []string{"go run ./examples/ticker", "go test -race ./..."} {
		assert.Contains(t, string(text), "<!--run-->\n```sh\n"+command+"\n```\n")
	}
}

// Each link of a document leads to a file, and to a heading of that file if it names one.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	documents := files(t, func(path string) bool { return strings.HasSuffix(path, ".md") })
	require.Contains(t, documents, "README.md")
	for _, document := range documents {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := document
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(document), filepath.FromSlash(m[1]))
			}
			_, err := os.Stat(target)
			if !assert.NoError(t, err, "%s links to %s", document, m[1]) || m[2] == "" {
				continue
			}
			assert.Contains(t, anchors(t, target), m[2], "%s links to a heading that %s does not have", document, target)
		}
	}
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?)[ #]*$`)
	linked  = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	dropped = regexp.MustCompile(`[^\p{L}\p{M}\p{N}_ -]`)
)

// anchors returns the names that GitHub gives the headings of a Markdown file: in lower
// case, without punctuation, with a hyphen for each space; and a number for the second
// with the same name, and those after it.
func anchors(t *testing.T, file string) (names []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(string(text), ""), -1) {
		name := dropped.ReplaceAllString(strings.ToLower(linked.ReplaceAllString(m[1], "$1")), "")
		name = strings.ReplaceAll(name, " ", "-")
		if n := seen[name]; n > 0 {
			names = append(names, fmt.Sprintf("%s-%d", name, n))
		} else {
			names = append(names, name)
		}
		seen[name]++
	}
	return names
}

func TestAnchors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.md")
	require.NoError(t, os.WriteFile(file, []byte("# Why? `Go's` way: *C*, a-b_c\n\n```sh\n# no heading\n```\n## [A](b.md) link\n## a link\n### A link ###\n"), 0o666))
	assert.Equal(t, []string{"why-gos-way-c-a-b_c", "a-link", "a-link-1", "a-link-2"}, anchors(t, file))
}

// A reader of a fragment finds the whole of it: the document that shows code of a file
// links to that file, or to its directory.
func TestDocumentsLinkToTheirCode(t *testing.T) {
	links := 0
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		targets := map[string]bool{}
		for _, m := range regexp.MustCompile(`\]\(([^)#\s]+)`).FindAllStringSubmatch(string(text), -1) {
			targets[filepath.ToSlash(filepath.Join(filepath.Dir(document), filepath.FromSlash(m[1])))] = true
		}
		for _, m := range regexp.MustCompile(`(?m)^<!--code:(\S+)-->$`).FindAllStringSubmatch(string(text), -1) {
			assert.True(t, targets[m[1]] || targets[path.Dir(m[1])], "%s shows code of %s, and has no link there", document, m[1])
			links++
		}
	}
	assert.NotZero(t, links)
}

// Each program of examples has a row in the table there.
func TestExamplesAreListed(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("examples", "README.md"))
	require.NoError(t, err)
	programs := 0
	for _, file := range files(t, func(path string) bool {
		return strings.HasPrefix(filepath.ToSlash(path), "examples/") && filepath.Base(path) == "main.go" && !strings.Contains(path, "guest")
	}) {
		name := strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "examples/")
		assert.Contains(t, string(table), "| ["+name+"]("+name+") | ", "examples/README.md has no row for it")
		programs++
	}
	assert.NotZero(t, programs)
}

// The first version has been changed by nobody and fixed for nobody. Merges put lines
// beside one another, so each heading stands once, behind an empty line.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("CHANGELOG.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	versions := 0
	for _, at := range regexp.MustCompile(`(?m)^##+ .*$`).FindAllStringIndex(string(text), -1) {
		heading := string(text[at[0]:at[1]])
		assert.True(t, strings.HasSuffix(string(text[:at[0]]), "\n\n"), "no empty line before %q", heading)
		if strings.HasPrefix(heading, "## ") {
			seen = map[string]bool{}
			versions++
		}
		assert.False(t, seen[heading], "%q stands twice", heading)
		seen[heading] = true
	}
	assert.NotZero(t, versions)
	if versions == 1 {
		assert.NotRegexp(t, `(?m)^### (Changed|Fixed|Removed)`, string(text))
	}
}
