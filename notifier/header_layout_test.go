//go:build linux

package notifier

// This file compares the layout of the shared memory that a C compiler sees,
// printed by testdata/c/layout.c, with the Go half; and compiles the C and C++ of
// the page about the ABI.

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/golden"
)

// What a compiler makes of the header, and where a call of notifier_notify finds
// its generation and sets its bits, against makeHandle and position.
func TestLayoutInC(t *testing.T) {
	compilers := []string{"gcc", "clang"}
	if reduced() {
		compilers = compilers[:1]
	}
	for _, compiler := range compilers {
		t.Run(compiler, func(t *testing.T) {
			dir := t.TempDir()
			var lines strings.Builder
			for _, c := range golden.Constants(t, Header()) {
				fmt.Fprintf(&lines, "SHOW(%s);\n", c.Name)
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "macros.h"), []byte(lines.String()), 0o666))
			program := build(t, compiler, []string{"-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-I" + dir}, "layout.c")

			indexes := []uint32{0, 1, 31, 32, 2047, 2048, 32767, 32768, maxHandles - 1}
			for range 40 {
				indexes = append(indexes, rand.Uint32N(maxHandles))
			}
			var args []string
			for _, i := range indexes {
				args = append(args, strconv.Itoa(int(i)))
			}
			got := map[string]int64{}
			var calls []string
			for line := range strings.Lines(run(t, program, args...)) {
				line = strings.TrimSpace(line)
				if strings.HasPrefix(line, "index") {
					calls = append(calls, line)
					continue
				}
				name, value, _ := strings.Cut(line, " ")
				v, err := strconv.ParseInt(value, 10, 64)
				require.NoError(t, err, line)
				got[name] = v
			}
			assert.Equal(t, goHalf, got)

			require.Len(t, calls, len(indexes))
			for n, i := range indexes {
				var index, code int
				var handle, base uint64
				_, err := fmt.Sscanf(calls[n], "index %d handle %d base %d code %d", &index, &handle, &base, &code)
				require.NoError(t, err, calls[n])
				h := Handle(handle)
				assert.Equal(t, int(i), index)
				assert.Zero(t, code)
				assert.Equal(t, base, h.base())
				assert.Equal(t, i, h.index())
				assert.Equal(t, uint32(12345), h.generation())
				word, bit := position(i)
				var b block
				_, words, _ := strings.Cut(calls[n], "words ")
				assert.Equal(t, fmt.Sprintf("%d=%d %d=%d %d=%d %d=%d",
					unsafe.Offsetof(b.root), uint32(1)<<(word>>10),
					unsafe.Offsetof(b.top)+uintptr(word>>10*4), uint32(1)<<(word>>5&31),
					unsafe.Offsetof(b.mid)+uintptr(word>>5*4), uint32(1)<<(word&31),
					unsafe.Offsetof(b.leaf)+uintptr(word*4), uint32(1)<<bit), words)
				assert.Equal(t, i, indexAt(word, bit))
			}
		})
	}
}

func TestSnippetsInDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "c-abi.md"))
	require.NoError(t, err)
	snippets := regexp.MustCompile("(?ms)^```(c|c\\+\\+)\n(.*?)^```").FindAllSubmatch(page, -1)
	require.Len(t, snippets, 2)
	for _, s := range snippets {
		language := string(s[1])
		t.Run(language, func(t *testing.T) {
			compiler, standard := "gcc", "c11"
			if language == "c++" {
				compiler, standard = "g++", "c++17"
			}
			tool(t, compiler)
			file := filepath.Join(t.TempDir(), "snippet")
			require.NoError(t, os.WriteFile(file, s[2], 0o666))
			run(t, compiler, append(languageFlags(language, standard, "-O1"), "-I.", "-c", "-o", file+".o", file)...)
		})
	}
}
