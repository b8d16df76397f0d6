package main

// This file holds the list of what the tests do not reach, in CONTRIBUTING.md: how a
// block is named there, and what is missing from the list or has no place in it.

import (
	"bufio"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func inOrder(blocks map[string]*block) []*block {
	return slices.SortedFunc(maps.Values(blocks), func(a, b *block) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line, a.column-b.column)
	})
}

// name gives each block that counts its entry: the file, the function, and how the
// block begins; with a number if others of the function begin the same. Unlike a
// line's number, that stays when something else changes.
func name(root string, blocks map[string]*block) error {
	files := map[string]*source{}
	same := map[string][]*block{}
	for _, b := range inOrder(blocks) {
		if !counts(b.file) {
			continue
		}
		s := files[b.file]
		if s == nil {
			var err error
			if s, err = read(filepath.Join(root, filepath.FromSlash(b.file))); err != nil {
				return err
			}
			files[b.file] = s
		}
		key := b.file + " " + s.function(b.line) + "\x00" + s.beginning(b)
		same[key] = append(same[key], b)
	}
	for key, list := range same {
		for i, b := range list {
			number := ""
			if len(list) > 1 {
				number = fmt.Sprintf(" (%d)", i+1)
			}
			b.entry = strings.Replace(key, "\x00", number+": ", 1)
		}
	}
	return nil
}

// source is a Go file.
type source struct {
	lines []string // lines[0] is the first
	spans []span
}

// span is where a function, or a variable that has one, is.
type span struct {
	name        string
	first, last int
}

func read(path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &source{lines: strings.Split(string(text), "\n")}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	add := func(name string, n ast.Node) {
		s.spans = append(s.spans, span{name, set.PositionFor(n.Pos(), false).Line, set.PositionFor(n.End(), false).Line})
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil && len(d.Recv.List) > 0 {
				name = receiver(d.Recv.List[0].Type) + "." + name
			}
			add(name, d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					add(v.Names[0].Name, v)
				}
			}
		}
	}
	return s, nil
}

// receiver is the name of a receiver's type.
func receiver(e ast.Expr) string {
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.IndexListExpr:
			e = t.X
		case *ast.Ident:
			return t.Name
		default:
			return "?"
		}
	}
}

func (s *source) function(line int) string {
	for _, f := range s.spans {
		if f.first <= line && line <= f.last {
			return f.name
		}
	}
	return "?"
}

// beginning is the line that a block begins in, and if that only opens the block the
// first line of code behind it.
func (s *source) beginning(b *block) string {
	text := s.line(b.line)
	if strings.HasSuffix(text, "{") || strings.HasSuffix(text, ":") {
		for i := b.line + 1; i <= b.last; i++ {
			if code := s.line(i); code != "" && !strings.HasPrefix(code, "//") {
				return text + " " + code
			}
		}
	}
	return text
}

func (s *source) line(i int) string { return strings.TrimSpace(s.lines[i-1]) }

var entryLine = regexp.MustCompile(`^\S+\.go \S+( \(\d+\))?: `)

// listed returns the entries of CONTRIBUTING.md: they are in the blocks of text of the
// section Coverage.
func listed(markdown string) (entries []string) {
	section, inside := "", false
	for scan := bufio.NewScanner(strings.NewReader(markdown)); scan.Scan(); {
		line := strings.TrimSpace(scan.Text())
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside && line == "```text"
		case strings.HasPrefix(line, "## "):
			section = line
		case inside && section == "## Coverage" && entryLine.MatchString(line):
			entries = append(entries, line)
		}
	}
	return entries
}

// unlisted returns the entries of the blocks that count, were not reached and are not
// in the list.
func unlisted(blocks map[string]*block, list []string) (entries []string) {
	for _, b := range inOrder(blocks) {
		if counts(b.file) && !b.reached && !slices.Contains(list, b.entry) {
			entries = append(entries, b.entry)
		}
	}
	return entries
}

// compare prints what is not as the list says, and returns the exit code. A block may
// be listed and reached all the same: some are on some runs only.
func compare(blocks map[string]*block, list []string) (code int) {
	all, reached := map[string]bool{}, 0
	var wrong []string
	for _, b := range inOrder(blocks) {
		if !counts(b.file) {
			continue
		}
		all[b.entry] = true
		if b.reached && slices.Contains(list, b.entry) {
			reached++
		}
	}
	for i, entry := range list {
		if !all[entry] || slices.Contains(list[:i], entry) {
			wrong = append(wrong, entry)
		}
	}
	fmt.Printf("CONTRIBUTING.md lists %d blocks of statements; %d of them were reached this time\n", len(list), reached)
	if missed := unlisted(blocks, list); len(missed) > 0 {
		fmt.Println("not reached, and not in the list: write a test, or list it with its reason:\n" + strings.Join(missed, "\n"))
		code = 1
	}
	if len(wrong) > 0 {
		fmt.Println("in the list, and not in the source any more, or listed twice:\n" + strings.Join(wrong, "\n"))
		code = 1
	}
	return code
}
