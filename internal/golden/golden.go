// Package golden holds what users depend on, the exported API and the C ABI, to
// listings in testdata: they change on purpose only.
//
// To renew a listing, say in CHANGELOG.md what changed and run the test with -update:
//
//	go test ./notifier ./ring ./chanadapter -run TestAPIStays -update
package golden

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Holds compares a listing with a file of testdata.
func Holds(t *testing.T, name, got string) {
	t.Helper()
	old := Listing(t, name)
	switch {
	case old == got:
	case *update:
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("testdata/%s lists what users depend on, and that has changed:\n%s"+
			"If the change is meant, say so in CHANGELOG.md and run: go test . -run %s -update", name, difference(old, got), t.Name())
	}
}

// Listing returns what the file of testdata has; one that is not there has nothing.
func Listing(t *testing.T, name string) string {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(file)
}

// Changelog returns the text of CHANGELOG.md.
func Changelog(t *testing.T) string {
	t.Helper()
	for dir := "."; len(dir) < 20; dir = filepath.Join(dir, "..") {
		if text, err := os.ReadFile(filepath.Join(dir, "CHANGELOG.md")); err == nil {
			return string(text)
		}
	}
	t.Fatal("there is no CHANGELOG.md above this directory")
	return ""
}

// Constant is a macro of a C header that stands for a number.
type Constant struct {
	Name  string
	Value int64
}

var macro = regexp.MustCompile(`(?m)^#define (NOTIFIER_[A-Z_]*[A-Z]) +\(?(-?\w+)\)?`)

// Constants returns a header's public constants in its order: the macros with a
// value whose names do not end in an underscore. NOTIFIER_HAS_... only says what
// the system has.
func Constants(t *testing.T, header string) (list []Constant) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range macro.FindAllStringSubmatch(header, -1) {
		name, number := m[1], strings.TrimSuffix(m[2], "u")
		if strings.HasPrefix(name, "NOTIFIER_HAS_") {
			continue
		}
		v, err := strconv.ParseInt(number, 0, 64)
		if err != nil {
			t.Fatalf("%s: %v", m[0], err)
		}
		if seen[name] {
			t.Errorf("%s is defined twice", name)
		}
		seen[name] = true
		list = append(list, Constant{name, v})
	}
	return list
}

// Values returns the constants by name.
func Values(list []Constant) map[string]int64 {
	values := map[string]int64{}
	for _, c := range list {
		values[c.Name] = c.Value
	}
	return values
}

var row = regexp.MustCompile(`(?m)^ \* +(\d+)  (\w+) `)

// Table compares the offsets of a table in a header's comment with those among the
// values whose names begin with the prefix. Authors of other languages go by the table.
func Table(t *testing.T, text, prefix string, values map[string]int64) {
	t.Helper()
	got, want := map[string]int64{}, map[string]int64{}
	for _, r := range row.FindAllStringSubmatch(text, -1) {
		got[prefix+strings.ToUpper(r[2])], _ = strconv.ParseInt(r[1], 10, 64)
	}
	for name, v := range values {
		if strings.HasPrefix(name, prefix) {
			want[name] = v
		}
	}
	if len(got) == 0 || !maps.Equal(got, want) {
		t.Errorf("the table has %v, not %v", got, want)
	}
}

// difference has the lines that only one of them has.
func difference(old, got string) string {
	var b strings.Builder
	before, now := strings.Split(old, "\n"), strings.Split(got, "\n")
	for _, line := range before {
		if !slices.Contains(now, line) {
			fmt.Fprintln(&b, "-", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(before, line) {
			fmt.Fprintln(&b, "+", line)
		}
	}
	return b.String()
}

// Kept returns an error if a line of the old listing is missing in the new one while
// both have the same number: what has a number is only added to.
func Kept(old, got, number string) error {
	if !strings.Contains("\n"+old, "\n"+number+"\n") || !strings.Contains("\n"+got, "\n"+number+"\n") {
		return nil
	}
	for line := range strings.Lines(old) {
		if !strings.Contains("\n"+got, "\n"+line) {
			return fmt.Errorf("%q changed or went, and it is still %s", strings.TrimSpace(line), number)
		}
	}
	return nil
}

// API returns the exported declarations of the package in the directory, on every
// system together, each as one line. What they say in comments is no part of it.
func API(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		list, err := exported(path, text)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, list...)
	}
	slices.Sort(lines)
	return strings.Join(append(slices.Compact(lines), ""), "\n")
}

func exported(path string, text []byte) (lines []string, err error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil || !ast.FileExports(file) {
		return nil, err
	}
	add := func(keyword string, node ast.Node) {
		// What a variable is set to is no part of the API.
		if v, ok := node.(*ast.ValueSpec); ok && v.Type != nil {
			v.Values = nil
		}
		var b bytes.Buffer
		if e := printer.Fprint(&b, token.NewFileSet(), node); e != nil {
			err = e
		}
		declaration, _, _ := strings.Cut(b.String(), "// contains filtered") // the printer's remark
		lines = append(lines, file.Name.Name+": "+keyword+strings.TrimSpace(spaces.ReplaceAllString(declaration, " ")))
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			d.Body, d.Doc = nil, nil
			add("", d)
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				continue
			}
			for _, s := range d.Specs {
				add(d.Tok.String()+" ", s)
			}
		}
	}
	return lines, err
}

var spaces = regexp.MustCompile(`\s+`)
