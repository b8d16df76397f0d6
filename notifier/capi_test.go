package notifier

// This file lists the exported API and holds it to testdata/api.golden, so that
// it changes only on purpose and with a word in CHANGELOG.md.

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stable are the packages whose API is listed, as seen from this one.
var stable = []string{"."}

func TestAPIStays(t *testing.T) {
	var list strings.Builder
	for _, dir := range stable {
		for _, line := range exported(t, dir) {
			fmt.Fprintln(&list, line)
		}
	}
	golden(t, "api.golden", list.String())
}

// exported returns the exported declarations of a package, on every system
// together, each as one line.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var lines []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		// Without comments: the documentation may change.
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		if !ast.FileExports(file) {
			continue
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				d.Body, d.Doc = nil, nil
				lines = append(lines, file.Name.Name+": "+oneLine(t, d))
			case *ast.GenDecl:
				if d.Tok == token.IMPORT {
					continue
				}
				for _, s := range d.Specs {
					lines = append(lines, file.Name.Name+": "+d.Tok.String()+" "+oneLine(t, s))
				}
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

var spaces = regexp.MustCompile(`\s+`)

func oneLine(t *testing.T, node ast.Node) string {
	t.Helper()
	// What a variable is set to is no part of the API.
	if v, ok := node.(*ast.ValueSpec); ok && v.Type != nil {
		v.Values = nil
	}
	var b bytes.Buffer
	require.NoError(t, printer.Fprint(&b, token.NewFileSet(), node))
	text, _, _ := strings.Cut(b.String(), "// contains filtered") // the printer's remark
	return strings.TrimSpace(spaces.ReplaceAllString(text, " "))
}
