package wakechan_test

// This file holds docs/protocol.md, and every other document that names a test, to
// what is there: each test, model and function that they name exists.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tests returns the names of all test and fuzz functions, and of the suite's cases.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	all := map[string]bool{}
	for _, path := range files(t, func(path string) bool { return strings.HasSuffix(path, "_test.go") }) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			all[m[1]] = true
		}
	}
	suite, err := os.ReadFile(filepath.Join("notifier", "suite_test.go"))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^\t\{"([\w/]+)", `).FindAllStringSubmatch(string(suite), -1) {
		all["TestSuite/"+m[1]] = true
	}
	return all
}

func TestDocumentsNameTests(t *testing.T) {
	there := tests(t)
	require.True(t, there["TestDocumentsNameTests"] && there["TestSuite/libuv/async8"] && there["FuzzScribble"])
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][\\w/]*)`")
	for _, document := range files(t, func(path string) bool { return strings.HasSuffix(path, ".md") }) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			assert.True(t, there[m[1]], "%s names %s, which is not there", document, m[1])
		}
	}
}

// A row for each guarantee: the argument with links to the code, the models, the tests.
func TestGuaranteeTable(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("docs", "protocol.md"))
	require.NoError(t, err)
	cases, err := os.ReadFile(filepath.Join("verify", "model", "cases.txt"))
	require.NoError(t, err)
	assert.Contains(t, string(page), "```mermaid\nstateDiagram-v2\n")
	quoted := regexp.MustCompile("`([^`]+)`")
	code := regexp.MustCompile(`\]\(\.\./(notifier/[\w.]+)\)`)
	there := tests(t)
	rows := regexp.MustCompile(`(?m)^\| G(\d+) .*\|$`).FindAllString(string(page), -1)
	require.Len(t, rows, 10)
	for i, row := range rows {
		columns := strings.Split(strings.Trim(row, "|"), " | ")
		require.Len(t, columns, 4, row)
		assert.True(t, strings.HasPrefix(strings.TrimSpace(columns[0]), "G"+[]string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}[i]+" "), row)
		assert.True(t, code.MatchString(columns[1]), "no link to the code: %s", columns[1])
		for _, m := range quoted.FindAllStringSubmatch(columns[2], -1) {
			assert.Regexp(t, `(?m)^(holds|caught) +`+m[1]+` `, string(cases), "there is no such model")
		}
		names := quoted.FindAllStringSubmatch(columns[3], -1)
		assert.NotEmpty(t, names, row)
		for _, m := range names {
			assert.True(t, there[m[1]], "%s names %s, which is not there", columns[0], m[1])
		}
	}
}

// A link to code whose text is a function's name leads to the file that has it.
func TestLinksToFunctions(t *testing.T) {
	link := regexp.MustCompile("\\[`(?:\\(?\\*?(\\w+)\\)?\\.)?(\\w+)`\\]\\(([^)]+\\.(?:go|h))\\)")
	found := 0
	for _, document := range files(t, func(path string) bool { return strings.HasSuffix(path, ".md") }) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			source, err := os.ReadFile(filepath.Join(filepath.Dir(document), filepath.FromSlash(m[3])))
			require.NoError(t, err)
			function := `(?m)^func ` + m[2] + `[\[(]`
			if m[1] != "" {
				function = `(?m)^func \(\w+ \*?` + m[1] + `\) ` + m[2] + `\(`
			} else if strings.HasSuffix(m[3], ".h") {
				function = `\b` + m[2] + `\(`
			}
			assert.Regexp(t, function, string(source), "%s: %s", document, m[0])
			found++
		}
	}
	assert.NotZero(t, found)
}

// What the documents name of the API is there: names of the Go packages in the golden
// listings, names of C in the headers, environment variables and options in the code.
func TestDocumentsNameAPI(t *testing.T) {
	there := map[string]bool{}
	for _, pkg := range []string{"notifier", "ring", "chanadapter"} {
		listing, err := os.ReadFile(filepath.Join(pkg, "testdata", "api.golden"))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^(\w+): (?:func|type|const|var) (?:\(\w+ \*?(\w+)\) )?(\w+)`).FindAllStringSubmatch(string(listing), -1) {
			there[m[1]+"."+m[3]] = true
			there[m[2]+"."+m[3]] = true
		}
	}
	c := ""
	for _, path := range files(t, func(path string) bool {
		dir := filepath.Dir(path)
		return (dir == "notifier" || dir == "ring") && !strings.HasSuffix(path, "_test.go") && strings.Contains(".go.h", filepath.Ext(path))
	}) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		c += string(text)
	}
	goName := regexp.MustCompile(`\b(notifier|ring|chanadapter|Notifier|Handle|Poller|Ring|Out|Watcher|Group|EventFD|Timer)\.([A-Z]\w*)`)
	cName := regexp.MustCompile(`\b(?:notifier_(?:notify|ring|out)\w*|NOTIFIER_[A-Z_]*[A-Z])\b`)
	spans := regexp.MustCompile("`[^`\n]+`")
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, span := range spans.FindAllString(fenced.ReplaceAllString(string(text), ""), -1) {
			for _, m := range goName.FindAllStringSubmatch(span, -1) {
				assert.True(t, there[m[1]+"."+m[2]], "%s names %s.%s, which is not there", document, m[1], m[2])
			}
			for _, name := range cName.FindAllString(span, -1) {
				assert.True(t, strings.Contains(c, name), "%s names %s, which is not there", document, name)
			}
		}
	}
}
