package wakechan_test

// This file holds what pkg.go.dev shows of the packages: each exported type has an
// example that is run, and what looks like a link to a name is one.

import (
	"go/ast"
	"go/build"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// page returns a package as pkg.go.dev shows it first: its files for linux/amd64, with
// the examples where they belong.
func page(t *testing.T, dir string) *doc.Package {
	t.Helper()
	system := build.Default
	system.GOOS, system.GOARCH, system.CgoEnabled = "linux", "amd64", true
	pkg, err := system.ImportDir(dir, 0)
	require.NoError(t, err)
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range slices.Concat(pkg.GoFiles, pkg.CgoFiles, pkg.TestGoFiles, pkg.XTestGoFiles) {
		file, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	shown, err := doc.NewFromFiles(fset, files, "github.com/wakechan/wakechan/"+filepath.ToSlash(dir))
	require.NoError(t, err)
	return shown
}

// An example stands at the type itself or at one of its methods: an option's, too,
// which has the constructor that takes it.
func TestEachTypeHasAnExample(t *testing.T) {
	for _, dir := range []string{"notifier", "ring", "chanadapter"} {
		types := page(t, dir).Types
		require.NotEmpty(t, types)
		for _, typ := range types {
			examples := typ.Examples
			for _, method := range typ.Methods {
				examples = append(examples, method.Examples...)
			}
			assert.NotEmpty(t, examples, "%s.%s has no Example%s", dir, typ.Name, typ.Name)
			for _, example := range examples {
				assert.True(t, example.Output != "" || example.EmptyOutput, "%s: Example%s is not run: it has no output", dir, example.Name)
			}
		}
	}
}

// Text in brackets that could be a name is a link to something that is there.
func TestDocumentationLinks(t *testing.T) {
	bracketed := regexp.MustCompile(`\[\*?([A-Za-z]\w*\.)*[A-Z]\w*\]`)
	links := 0
	for _, dir := range []string{".", "notifier", "ring", "chanadapter", "notifier/wasmexport", "ring/wasmexport", "cmd/notifierh"} {
		shown := page(t, dir)
		parse := shown.Parser()
		check := func(where, text string) {
			each(parse.Parse(text).Content, func(text comment.Text) {
				switch text := text.(type) {
				case *comment.DocLink:
					links++
				case comment.Plain:
					assert.NotRegexp(t, bracketed, string(text), "%s: %s has a link to nothing", dir, where)
				}
			})
		}
		check("the package", shown.Doc)
		values := slices.Concat(shown.Consts, shown.Vars)
		functions := slices.Clone(shown.Funcs)
		for _, typ := range shown.Types {
			check(typ.Name, typ.Doc)
			values = append(append(values, typ.Consts...), typ.Vars...)
			functions = append(append(functions, typ.Funcs...), typ.Methods...)
		}
		for _, value := range values {
			check(value.Names[0], value.Doc)
		}
		for _, function := range functions {
			check(function.Recv+"."+function.Name, function.Doc)
		}
	}
	assert.NotZero(t, links)
}

// each calls f with all texts of a comment.
func each(blocks []comment.Block, f func(comment.Text)) {
	texts := func(all []comment.Text) {
		for _, text := range all {
			f(text)
		}
	}
	for _, b := range blocks {
		switch b := b.(type) {
		case *comment.Heading:
			texts(b.Text)
		case *comment.Paragraph:
			texts(b.Text)
		case *comment.List:
			for _, item := range b.Items {
				each(item.Content, f)
			}
		}
	}
}
