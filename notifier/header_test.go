//go:build linux

package notifier

// This file compiles and runs C and C++ programs that include notifier.h: every
// compiler, standard and system that the header promises to suit, with warnings
// as errors. It also has what the other c*_test.go files compile programs with.
// What a program does with the header stands in testdata/c.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wakechan/wakechan/internal/testenv"
)

// strict is what a careful C project compiles with.
var strict = []string{
	"-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wconversion", "-Wsign-conversion",
	"-Wcast-align", "-Wcast-qual", "-Wundef", "-Wredundant-decls", "-Wvla",
}

// words are what testenv.Missing calls the tools; each other has its own name.
var words = map[string]string{
	"gcc": "cc", "g++": "c++", "clang++": "clang",
	"x86_64-w64-mingw32-gcc": "mingw", "x86_64-w64-mingw32-g++": "mingw",
}

// tool ends the test if a program that it needs is not there.
func tool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		word := name
		if w, ok := words[name]; ok {
			word = w
		}
		testenv.Missing(t, word, err.Error())
	}
}

// command runs a program and returns what it prints, and the error if it fails.
func command(t testing.TB, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*testenv.Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it hangs: %w", err)
	}
	return out.String(), errs.String(), err
}

// run runs a program that must succeed, and returns what it prints.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, errs, err := command(t, name, args...)
	require.NoError(t, err, "%s %s\n%s%s", name, strings.Join(args, " "), out, errs)
	return out
}

// build compiles files of testdata/c into a program, or with -c into an object,
// and returns its path.
func build(t testing.TB, compiler string, flags []string, files ...string) string {
	t.Helper()
	tool(t, compiler)
	output := filepath.Join(t.TempDir(), "program")
	args := slices.Concat(flags, []string{"-I.", "-Itestdata/c", "-o", output})
	for _, f := range files {
		args = append(args, filepath.Join("testdata", "c", f))
	}
	if !slices.Contains(flags, "-c") && !strings.Contains(compiler, "mingw") {
		args = append(args, "-lpthread")
	}
	run(t, compiler, args...)
	return output
}

// reduced tells whether only the quick tests are wanted: unless testenv.Long, and in
// the gate but for its C stage, which has all the compilers.
func reduced() bool {
	c := slices.Contains(strings.Split(os.Getenv("WAKECHAN_REQUIRE"), ","), "cc")
	return !testenv.Long() || os.Getenv("CI") != "" && !c
}

// notShort skips a long test where only the quick ones are wanted.
func notShort(t testing.TB, why string) {
	t.Helper()
	if reduced() {
		t.Skip("WAKECHAN_LONG is not set, or the gate's C stage has it: ", why)
	}
}

func TestHeaderIsEmbedded(t *testing.T) {
	text, err := os.ReadFile("notifier.h")
	require.NoError(t, err)
	assert.Equal(t, string(text), Header())
}

var careful = map[string][]string{
	"c":   {"-Wstrict-prototypes", "-Wdeclaration-after-statement"},
	"c++": {"-fno-exceptions", "-fno-rtti"},
}

func languageFlags(language, standard, opt string) []string {
	return slices.Concat([]string{"-x", language, "-std=" + standard, opt}, strict, careful[language])
}

// A program of two translation units, by each compiler that is there.
func TestHeaderCompiles(t *testing.T) {
	for _, c := range []struct {
		compiler, language string
		standards          []string
	}{
		{"gcc", "c", []string{"c11", "gnu11", "c17"}},
		{"clang", "c", []string{"c11", "gnu11", "c17"}},
		{"g++", "c++", []string{"c++17", "gnu++17", "c++20"}},
		{"clang++", "c++", []string{"c++17", "gnu++17", "c++20"}},
		{"musl-gcc", "c", []string{"c11", "gnu11"}},
	} {
		for i, standard := range c.standards {
			for j, opt := range []string{"-O2", "-O0"} {
				if i*j > 0 || reduced() && i+j > 0 {
					continue
				}
				t.Run(c.compiler+"/"+standard+opt, func(t *testing.T) {
					program := build(t, c.compiler, languageFlags(c.language, standard, opt), "unit_a.c", "unit_b.c")
					assert.Equal(t, unitsSay, run(t, program))
				})
			}
		}
	}
}

const unitsSay = "OK COALESCED CLOSED INVALID FAILED\n"

// Projects that write their own assembly in Intel's dialect compile all of it so.
func TestHeaderInIntelDialect(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
		t.Skip("the dialects are x86's")
	}
	for _, compiler := range []string{"gcc", "clang"} {
		t.Run(compiler, func(t *testing.T) {
			program := build(t, compiler, append(languageFlags("c", "c11", "-O2"), "-masm=intel"), "unit_a.c", "unit_b.c")
			assert.Equal(t, unitsSay, run(t, program))
		})
	}
}

// Whoever includes the header and uses nothing of it gets no warning either.
func TestHeaderUnused(t *testing.T) {
	for _, c := range []struct{ compiler, language, standard string }{
		{"gcc", "c", "c11"}, {"clang", "c", "c11"}, {"g++", "c++", "c++17"}, {"clang++", "c++", "c++17"},
	} {
		t.Run(c.compiler, func(t *testing.T) {
			build(t, c.compiler, append(languageFlags(c.language, c.standard, "-O2"), "-c"), "unused.c")
		})
	}
}

// One unit in C and the other in C++, by two compilers, in one program.
func TestHeaderMixesLanguages(t *testing.T) {
	for _, c := range []struct{ a, b string }{{"g++", "gcc"}, {"clang++", "gcc"}} {
		t.Run(c.a+"_"+c.b, func(t *testing.T) {
			a := build(t, c.a, append(languageFlags("c++", "c++17", "-O2"), "-c"), "unit_a.c")
			b := build(t, c.b, append(languageFlags("c", "c11", "-O2"), "-c"), "unit_b.c")
			program := filepath.Join(t.TempDir(), "mixed")
			run(t, c.a, "-o", program, a, b)
			assert.Equal(t, unitsSay, run(t, program))
		})
	}
}

// Other systems and processors: 32-bit, big-endian, Windows. Compiled only here.
func TestHeaderCrossCompiles(t *testing.T) {
	msvc := []string{"-D_MSC_VER=1930", "-Wno-attributes"} // takes the branch of Microsoft's compiler, with mingw's intrin.h
	for _, c := range []struct {
		compiler, language, standard string
		flags                        []string
	}{
		{"aarch64-linux-gnu-gcc", "c", "c11", nil},
		{"s390x-linux-gnu-gcc", "c", "c11", nil},
		{"arm-linux-gnueabihf-gcc", "c", "c11", nil},
		{"x86_64-w64-mingw32-gcc", "c", "c11", nil},
		{"x86_64-w64-mingw32-gcc", "c", "gnu11", []string{"-D_WIN32_WINNT=0x0601"}},
		{"x86_64-w64-mingw32-gcc", "c", "c11", msvc},
		{"x86_64-w64-mingw32-gcc", "c", "c11", append(msvc, "-D_M_X64")},
		{"x86_64-w64-mingw32-g++", "c++", "c++17", nil},
		{"x86_64-w64-mingw32-g++", "c++", "c++17", append(msvc, "-D_M_X64")},
		{"i686-w64-mingw32-gcc", "c", "c11", nil},
	} {
		t.Run(strings.Join(append([]string{c.compiler, c.standard}, c.flags...), "_"), func(t *testing.T) {
			notShort(t, "the host's compilers are enough there")
			flags := append(languageFlags(c.language, c.standard, "-O2"), "-c")
			if strings.Contains(c.compiler, "mingw") {
				// mingw's own headers are not clean to these.
				flags = slices.DeleteFunc(flags, func(f string) bool { return f == "-Wundef" || f == "-Wredundant-decls" })
			}
			for _, unit := range []string{"unit_a.c", "unit_b.c"} {
				build(t, c.compiler, append(flags, c.flags...), unit)
			}
		})
	}
}

func TestHeaderZig(t *testing.T) {
	notShort(t, "zig is slow the first time")
	tool(t, "zig")
	program := filepath.Join(t.TempDir(), "program")
	args := slices.Concat([]string{"cc", "-I.", "-o", program}, languageFlags("c", "c11", "-O2"),
		[]string{"testdata/c/unit_a.c", "testdata/c/unit_b.c"})
	run(t, "zig", args...)
	assert.Equal(t, unitsSay, run(t, program))

	// It has the headers of macOS too, for the kqueue.
	for _, target := range []string{"x86_64-macos", "aarch64-macos"} {
		run(t, "zig", append(args, "-target", target)...)
	}
}
