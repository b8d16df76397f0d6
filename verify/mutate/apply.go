package main

// This file finds the code that a mutation replaces.

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// apply returns the file of the package in dir that has the code, and its text with
// the mutation. It looks at the files that are built on Linux, where Mutate runs.
func (m mutation) apply(dir string) (path string, changed []byte, err error) {
	linux := build.Default
	linux.GOOS = "linux"
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", nil, err
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if built, err := linux.MatchFile(dir, name); err != nil || !built || strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", nil, err
		}
		first, last, err := function(text, m.in)
		switch {
		case err != nil:
			return "", nil, err
		case first == last:
			continue
		}
		from, to, err := find(text[first:last], []byte(m.old))
		if err != nil {
			return "", nil, fmt.Errorf("%s, %s in %s: %w", m.name, m.in, name, err)
		}
		return path, slices.Concat(text[:first+from], []byte(m.new), text[first+to:]), nil
	}
	return "", nil, fmt.Errorf("%s: package %s has no function %s", m.name, filepath.Base(dir), m.in)
}

// function returns where in a file the named function begins and ends. If the file
// does not have it, these are the same.
func function(text []byte, name string) (first, last int, err error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", text, parser.SkipObjectResolution)
	if err != nil {
		return 0, 0, err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && nameOf(f) == name {
			return set.Position(f.Pos()).Offset, set.Position(f.End()).Offset, nil
		}
	}
	return 0, 0, nil
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if i, ok := t.(*ast.IndexExpr); ok { // the receiver of a generic type
		t = i.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return "?." + f.Name.Name
}

// find returns where in text the code is, which must be there once.
func find(text, code []byte) (from, to int, err error) {
	all, sought := scan(text), scan(code)
	same := func(a, b lexeme) bool { return a.tok == b.tok && a.literal == b.literal }
	times := 0
	for i := 0; len(sought) > 0 && i+len(sought) <= len(all); i++ {
		if part := all[i : i+len(sought)]; slices.EqualFunc(part, sought, same) {
			from, to = part[0].from, part[len(part)-1].to
			times++
		}
	}
	if times != 1 {
		return 0, 0, fmt.Errorf("there are %d of this code, and not one: %s", times, code)
	}
	return from, to, nil
}

// lexeme is a token and where it is.
type lexeme struct {
	tok      token.Token
	literal  string
	from, to int
}

// scan returns the tokens of some code. There is no semicolon before a closing brace
// or parenthesis or at the end, and no comma: whether there is one depends on how the
// code is broken into lines.
func scan(text []byte) (all []lexeme) {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(text))
	s.Init(file, text, nil, 0) // comments are left out
	for {
		pos, tok, literal := s.Scan()
		if n := len(all); n > 0 && (tok == token.RBRACE || tok == token.RPAREN || tok == token.EOF) &&
			(all[n-1].tok == token.SEMICOLON || all[n-1].tok == token.COMMA) {
			all = all[:n-1]
		}
		if tok == token.EOF {
			return all
		}
		switch {
		case tok == token.SEMICOLON:
			literal = ";" // written, or the end of a line
		case literal == "":
			literal = tok.String()
		}
		from := file.Offset(pos)
		all = append(all, lexeme{tok, literal, from, from + len(literal)})
	}
}
