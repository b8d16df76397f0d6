// Package wakechan_test holds what the documents must live up to: their code
// compiles and is what the tests run, and their links lead somewhere.
package wakechan_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
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

// examples returns the bodies of all Example functions, as a reader would write
// them in a program, by name.
func examples(t *testing.T) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	for _, path := range files(t, func(path string) bool { return strings.HasSuffix(path, "example_test.go") }) {
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Example") {
				continue
			}
			body := string(src[set.Position(f.Body.Lbrace).Offset+1 : set.Position(f.Body.Rbrace).Offset])
			body, _, _ = strings.Cut(body, "\t// Output:")
			body = strings.ReplaceAll(strings.Trim(body, "\n"), "\n\t", "\n")
			bodies[path+" "+f.Name.Name] = strings.TrimPrefix(body, "\t") + "\n"
		}
	}
	return bodies
}

// Each Go block of the README is the body of an Example, which the compiler and
// go test have seen; the quick start is that of package notifier.
func TestReadmeGo(t *testing.T) {
	shown := blocks(t, "README.md", "go")
	require.NotEmpty(t, shown, "the README shows no Go")
	all := examples(t)
	quick, ok := all[filepath.Join("notifier", "example_test.go")+" Example"]
	require.True(t, ok, "package notifier has no Example")
	assert.Equal(t, quick, shown[0], "the quick start is not the Example's text")
	var bodies []string
	for _, body := range all {
		bodies = append(bodies, body)
	}
	for _, block := range shown[1:] {
		assert.Contains(t, bodies, block, "this block of the README is no Example's body:\n%s", block)
	}
}

// Each C block of the README compiles as C and as C++, warnings being errors.
func TestReadmeC(t *testing.T) {
	shown := blocks(t, "README.md", "c")
	require.NotEmpty(t, shown, "the README shows no C")
	header, err := filepath.Abs("notifier")
	require.NoError(t, err)
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
					"-I", header, "-fsyntax-only", "-")
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
		assert.Contains(t, string(text), "<!-- run -->\n```sh\n"+command+"\n```\n")
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
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
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
