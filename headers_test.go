package wakechan_test

// This file holds that a change of a header is seen by each cgo package that
// includes it from another directory.

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The go command looks for changes in a package's own directory, and in what it
// imports. So such a package either imports one that embeds the header, or has a
// symbolic link to it, see_NAME.h.
func TestGoCommandSeesHeaders(t *testing.T) {
	include := regexp.MustCompile(`-I\$\{SRCDIR\}(/\.\.\S*)`)
	imports := map[string][]string{} // by directory
	headers := map[string][]string{}
	for _, path := range files(t, func(path string) bool { return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") }) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		require.NoError(t, err)
		dir := filepath.Dir(path)
		for _, i := range file.Imports {
			imports[dir] = append(imports[dir], strings.Trim(i.Path.Value, `"`))
		}
		if !slices.Contains(imports[dir], "C") {
			continue
		}
		for _, m := range include.FindAllStringSubmatch(string(text), -1) {
			found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(m[1]), "*.h"))
			require.NoError(t, err)
			headers[dir] = append(headers[dir], found...)
		}
	}
	require.NotEmpty(t, headers)
	for dir, list := range headers {
		for _, header := range list {
			if strings.HasPrefix(filepath.Base(header), "callback_") {
				continue // no C, but for Go's assembler
			}
			if slices.Contains(imports[dir], "github.com/wakechan/wakechan/"+filepath.ToSlash(filepath.Dir(header))) {
				continue
			}
			link := filepath.Join(dir, "see_"+filepath.Base(header))
			info, err := os.Lstat(link)
			if !assert.NoError(t, err, "the go command does not see in %s when %s changes", dir, header) || info.Mode().IsRegular() {
				continue // a regular file: Git writes a link as text where it must
			}
			leads, err := filepath.EvalSymlinks(link)
			require.NoError(t, err)
			assert.Equal(t, header, leads, link)
		}
	}
}
