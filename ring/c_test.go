//go:build linux

package ring

// This file compiles C and C++ programs that include ring.h: every compiler and
// standard that it promises to suit, with warnings as errors; and runs both halves
// of the protocol in C, without Go, under sanitizers. What the programs do stands
// in testdata/c. Where it can it also runs them with a header that was broken
// on purpose, to show that they notice.

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// reducedC tells whether only the quick tests are wanted: unless testenv.Long, and in
// the gate but for its C stage, which has all the compilers.
func reducedC() bool {
	c := slices.Contains(strings.Split(os.Getenv("WAKECHAN_REQUIRE"), ","), "cc")
	return !testenv.Long() || os.Getenv("CI") != "" && !c
}

// runC runs a program and returns what it prints, and the error if it fails.
func runC(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*testenv.Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it hangs: %w", err)
	}
	return out.String(), err
}

// compileC compiles files of testdata/c into a program, or with -c into an
// object, and returns its path.
func compileC(t testing.TB, compiler string, flags []string, files ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		word := compiler
		switch {
		case strings.HasSuffix(compiler, "-mingw32-gcc"), strings.HasSuffix(compiler, "-mingw32-g++"):
			word = "mingw"
		case compiler == "gcc":
			word = "cc"
		case compiler == "g++":
			word = "c++"
		case compiler == "clang++":
			word = "clang"
		}
		testenv.Missing(t, word, err.Error())
	}
	output := filepath.Join(t.TempDir(), "program")
	args := slices.Concat(flags, []string{"-I.", "-I../notifier", "-Itestdata/c", "-I../internal/ringforeign", "-I../internal/foreign/c", "-I../notifier/testdata/c", "-o", output})
	for _, f := range files {
		if !filepath.IsAbs(f) {
			f = filepath.Join("testdata", "c", f)
		}
		args = append(args, f)
	}
	if !slices.Contains(flags, "-c") && !strings.Contains(compiler, "mingw") {
		args = append(args, "-lpthread")
	}
	out, err := runC(t, compiler, args...)
	require.NoError(t, err, "%s %s\n%s", compiler, strings.Join(args, " "), out)
	return output
}

// strictC is what a careful project compiles with.
func strictC(language, standard string) []string {
	flags := []string{"-x", language, "-std=" + standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wshadow", "-Wconversion",
		"-Wsign-conversion", "-Wcast-align", "-Wcast-qual", "-Wundef", "-Wredundant-decls", "-Wvla"}
	if language == "c" {
		return append(flags, "-Wstrict-prototypes", "-Wdeclaration-after-statement")
	}
	return append(flags, "-fno-exceptions", "-fno-rtti")
}

// A program of two translation units, by each compiler that is there.
func TestRingHeaderCompiles(t *testing.T) {
	type how struct {
		compiler, language, standard string
		flags                        []string
	}
	list := []how{
		{"gcc", "c", "c11", nil}, {"gcc", "c", "gnu17", nil}, {"g++", "c++", "c++17", nil}, {"g++", "c++", "c++20", nil},
		{"clang", "c", "c11", nil}, {"clang++", "c++", "c++17", nil}, {"musl-gcc", "c", "c11", nil},
	}
	if runtime.GOARCH == "amd64" {
		intel := []string{"-masm=intel"} // of projects that write their own assembly in it
		list = append(list, how{"gcc", "c", "c11", intel}, how{"clang", "c", "c11", intel})
	}
	for _, c := range list {
		t.Run(strings.Join(append([]string{c.compiler, c.standard}, c.flags...), "/"), func(t *testing.T) {
			if reducedC() && c.standard != "c11" && c.standard != "c++17" {
				t.Skip("one standard a language is enough there")
			}
			program := compileC(t, c.compiler, append(strictC(c.language, c.standard), c.flags...), "unit_a.c", "unit_b.c")
			out, err := runC(t, program)
			require.NoError(t, err, out)
			assert.Equal(t, strings.Repeat("INVALID ", 6)+"INVALID\n", out)
		})
	}
}

// Other systems and processors: Windows, 32-bit, big-endian. Compiled only here.
func TestRingHeaderCrossCompiles(t *testing.T) {
	if reducedC() {
		t.Skip("the host's compilers are enough there")
	}
	msvc := []string{"-D_MSC_VER=1930", "-Wno-attributes"} // takes the branch of Microsoft's compiler, with mingw's intrin.h
	for _, c := range []struct {
		compiler, language, standard string
		flags                        []string
	}{
		{"x86_64-w64-mingw32-gcc", "c", "c11", nil},
		{"x86_64-w64-mingw32-gcc", "c", "c11", append(msvc, "-D_M_X64")},
		{"x86_64-w64-mingw32-g++", "c++", "c++17", nil},
		{"i686-w64-mingw32-gcc", "c", "c11", nil},
		{"aarch64-linux-gnu-gcc", "c", "c11", nil},
		{"arm-linux-gnueabihf-gcc", "c", "c11", nil},
		{"s390x-linux-gnu-gcc", "c", "c11", nil},
	} {
		t.Run(strings.Join(append([]string{c.compiler, c.standard}, c.flags...), "_"), func(t *testing.T) {
			flags := append(strictC(c.language, c.standard), "-c")
			if strings.Contains(c.compiler, "mingw") {
				// mingw's own headers are not clean to these.
				flags = slices.DeleteFunc(flags, func(f string) bool { return f == "-Wundef" || f == "-Wredundant-decls" })
			}
			for _, unit := range []string{"unit_a.c", "unit_b.c"} {
				compileC(t, c.compiler, append(flags, c.flags...), unit)
			}
		})
	}
}

// What a compiler makes of the header's numbers, on the width of this system.
func TestRingLayoutInC(t *testing.T) {
	dir := t.TempDir()
	var lines strings.Builder
	for name := range ringHalf {
		fmt.Fprintf(&lines, "SHOW(%s);\n", name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "macros.h"), []byte(lines.String()), 0o666))
	program := compileC(t, "gcc", []string{"-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-I" + dir}, "layout.c")

	r, err := New(4096)
	require.NoError(t, err)
	defer r.Close()
	h := r.b.handle()
	out, err := runC(t, program, strconv.FormatUint(uint64(h), 10))
	require.NoError(t, err, out)
	got := map[string]int64{}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "number") {
			assert.Equal(t, fmt.Sprintf("number %d control %d generation %d\n", h, uint64(h)>>28<<12, r.b.generation), line)
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[name], err = strconv.ParseInt(value, 10, 64)
		require.NoError(t, err, line)
	}
	assert.Equal(t, ringHalf, got)
}

var plainC = []string{"-std=gnu11", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"}

// stress runs testdata/c/stress.c in each way: threads push and discard, some
// also from a signal handler, or wait for room, and the reader's half in C must get all
// of it.
func stress(t *testing.T, program string, count int) {
	for _, producers := range []int{1, 2, 3, 4, 8} {
		for _, flags := range flagsOf(producers) {
			for _, handler := range []string{"0", "1", "2"} {
				args := []string{strconv.Itoa(producers), strconv.Itoa(count), strconv.Itoa(4096 << (producers % 3)), flags, handler,
					strconv.Itoa(int(testenv.Patience().Milliseconds()))}
				out, err := runC(t, program, args...)
				require.NoError(t, err, "%v: %s", args, out)
			}
		}
	}
}

// flagsOf returns the kinds of ring that so many producers may use.
func flagsOf(producers int) []string {
	if producers == 1 {
		return []string{"0", "1", "2", "3"}
	}
	return []string{"0", "1"}
}

// alone runs a program of testdata/c with one producer, for each kind of ring.
func alone(t *testing.T, program string, count int) {
	for _, flags := range flagsOf(1) {
		out, err := runC(t, program, strconv.Itoa(count), flags, strconv.Itoa(int(testenv.Patience().Milliseconds())))
		require.NoError(t, err, "flags %s: %s", flags, out)
		t.Logf("flags %s: %s", flags, out)
	}
}

func TestRingInC(t *testing.T) {
	flags := slices.Concat(plainC, []string{"-O2"})
	stress(t, compileC(t, "gcc", flags, "stress.c"), testenv.Times(20_000))
	alone(t, compileC(t, "gcc", flags, "shut.c"), testenv.Times(5_000))
	alone(t, compileC(t, "gcc", flags, "turns.c"), testenv.Times(5_000))
	alone(t, compileC(t, "gcc", flags, "bell.c"), 1)
	alone(t, compileC(t, "gcc", flags, "refused.c"), 1)
}

// A signal neither fails who waits nor makes its time shorter, by futex(2) and by poll(2).
func TestRingInCWaitsInterrupted(t *testing.T) {
	for name, header := range map[string]string{"futex": Header(), "poll": strings.ReplaceAll(Header(), "defined(__linux__)", "0")} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "ring.h"), []byte(header), 0o666))
			out, err := runC(t, compileC(t, "gcc", append([]string{"-I" + dir}, plainC...), "interrupted.c"))
			require.NoError(t, err, out)
		})
	}
}

// Both halves under the sanitizers.
func TestRingInCSanitized(t *testing.T) {
	if reducedC() {
		t.Skip("slow builds")
	}
	for _, compiler := range []string{"gcc", "clang"} {
		t.Run(compiler+"/thread", func(t *testing.T) {
			flags := slices.Concat(plainC, []string{"-O1", "-fsanitize=thread"})
			stress(t, compileC(t, compiler, flags, "stress.c"), testenv.Times(10_000))
			alone(t, compileC(t, compiler, flags, "shut.c"), testenv.Times(2_000))
			alone(t, compileC(t, compiler, flags, "turns.c"), testenv.Times(3_000))
		})
		t.Run(compiler+"/address_undefined", func(t *testing.T) {
			flags := slices.Concat(plainC, []string{"-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"})
			stress(t, compileC(t, compiler, flags, "stress.c"), testenv.Times(20_000))
			alone(t, compileC(t, compiler, flags, "shut.c"), testenv.Times(2_000))
			alone(t, compileC(t, compiler, flags, "turns.c"), testenv.Times(3_000))
			alone(t, compileC(t, compiler, flags, "bell.c"), 1)
			alone(t, compileC(t, compiler, flags, "refused.c"), 1)
		})
	}
}

// A mutant is an edit of ring.h or reader.h that breaks a promise. If it shows only when
// somebody else comes in between at one place, meet is an edit that has them come there: no
// test may hang on luck.
type mutant struct {
	name       string
	meet, edit edit
	sanitize   string
	run        []string // a program of testdata/c, and its arguments
}

// edit is one replacement in a text.
type edit struct{ old, new string }

// Who may come in between: the other threads, or the thread's own signal handler.
const (
	othersRun       = "{ static __thread unsigned turn_; if (turn_++ % 8 == 0) usleep(100); }\n"
	handlerProduces = "{ static __thread unsigned turn_; if (turn_++ % 8 == 0) raise(SIGUSR1); }\n" // producers.h
	handlerConsumes = "{ static __thread unsigned turn_; if (turn_++ % 8 == 0) raise(SIGUSR2); }\n" // consumers.h
)

// notices compiles the program twice, with meet only and then with the edit too. The first
// must be right, the second fail or hang.
func notices(t *testing.T, m mutant) {
	program := func(edits ...edit) string {
		// A file that is included with quotes comes from the includer's folder first.
		texts := map[string]string{"ring.h": "#include <signal.h>\n#include <unistd.h>\n" + Header(), "reader.h": "", m.run[0]: ""}
		dir := t.TempDir()
		found := 0
		for file, text := range texts {
			if text == "" {
				source, err := os.ReadFile(filepath.Join("testdata", "c", file))
				require.NoError(t, err)
				text = string(source)
			}
			for _, e := range edits {
				found += strings.Count(text, e.old)
				text = strings.Replace(text, e.old, e.new, 1)
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666))
		}
		require.Equal(t, len(edits), found, "the text has changed, change the edit too: %q", edits)
		flags := []string{"-std=gnu11", "-O1", "-w", "-I" + dir}
		if m.sanitize != "" {
			flags = append(flags, m.sanitize)
		}
		return compileC(t, "gcc", flags, filepath.Join(dir, m.run[0]))
	}
	edits := []edit{m.meet, m.edit}
	if m.meet == (edit{}) {
		edits = edits[1:]
	}
	right, wrong := program(edits[:len(edits)-1]...), program(edits...)
	began := time.Now()
	out, err := runC(t, right, m.run[1:]...)
	require.NoError(t, err, "it fails without the edit: %s", out)
	patience := 2*time.Second + 10*time.Since(began)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := exec.CommandContext(ctx, wrong, m.run[1:]...).Run()
		cancel()
		if err != nil {
			return
		}
	}
	assert.Fail(t, "it was not noticed")
}

// Each of these breaks a promise, and the program or the sanitizer says so. Some breakages
// of a single producer's ring lie in one instruction, between two processors: the model
// catches those (verify/model/cases.txt, single-).
func TestRingInCNoticesMutants(t *testing.T) {
	if reducedC() {
		t.Skip("compiles some programs")
	}
	const (
		thread   = "-fsanitize=thread"
		patience = "60000" // ms: whatever hangs is ended from outside
		giveBack = "  STORE(native_at(r->control, NOTIFIER_RING_OFFSET_CONSUMER), r->published);\n"
	)
	crowd := []string{"stress.c", "3", "20000", "4096", "0", "0", patience}
	waiters := []string{"stress.c", "3", "20000", "1024", "0", "2", patience}
	waiter := []string{"stress.c", "1", "20000", "512", "0", "2", patience}
	handler := []string{"stress.c", "1", "20000", "4096", "2", "1", patience}
	ending := []string{"shut.c", "100", "2", patience}
	bell := []string{"bell.c", "1", "0", "0"}
	refused := []string{"refused.c", "1", "0", "0"}
	var nobody edit
	for _, m := range []mutant{
		{"nobody wakes the reader", nobody, edit{"if (!(w & NOTIFIER_RING_WANTED)) return", "if (w | 1) return"}, "", crowd},
		{"a full ring is written to", nobody, edit{"if (used > size || pad + span > size - used || kept > size - used - pad - span) {", "if (0) {"}, "", crowd},
		{"a loss is not counted", nobody, edit{"lost:\n  if (!patient) notifier_ring_count_(", "lost:\n  (void)("}, "", crowd},
		{"two get the same room", edit{"  return notifier_ring_cas_(p, from, to);", othersRun + "  return notifier_ring_cas_(p, from, to);"},
			edit{"  return notifier_ring_cas_(p, from, to);", "  *p = to; return 1;"}, "", crowd},
		{"committed before it is filled", nobody, edit{"NOTIFIER_RING_BUSY | (uint32_t)len);", "NOTIFIER_RING_READY | (uint32_t)len);"}, "", crowd},
		{"a commit publishes nothing", nobody, edit{"__atomic_store_n(p, v, __ATOMIC_RELEASE);", "__atomic_store_n(p, v, __ATOMIC_RELAXED);"}, thread, crowd},

		{"a sleeping reader is taken for woken", nobody, edit{"if (code < 0) return code == NOTIFIER_FAILED ? code : NOTIFIER_OK;", ""}, "", bell},
		{"padding changes errno", nobody, edit{"    errno = saved;", ""}, "", bell},
		{"padding wakes nobody", nobody, edit{"    (void)notifier_ring_wake_(control, (uint32_t)p ^ NOTIFIER_RING_MAGIC);", ""}, "", bell},
		{"a record behind a reserved one wakes the reader", nobody, edit{"if ((w & NOTIFIER_RING_HEAD_ONLY) &&", "if (0 &&"}, "", bell},
		{"nothing wakes a reader at a reserved record", nobody, edit{"NOTIFIER_RING_MAGIC) != tag)", "NOTIFIER_RING_MAGIC) | 1)"}, "", bell},

		{"too large for another ring", nobody, edit{"if (notifier_ring_load_(position) != p) continue;\n      code = NOTIFIER_TOO_LARGE;", "code = NOTIFIER_TOO_LARGE;"}, "", refused},
		{"full, as another ring has it", nobody, edit{"if (notifier_ring_load_(position) != p) continue;\n      code = NOTIFIER_FULL;", "code = NOTIFIER_FULL;"}, "", refused},

		{"who waits says so to nobody", nobody, edit{"w | NOTIFIER_RING_ASKED));\n", "w));\n"}, "", waiters},
		{"who waits looks once", edit{"    do w = notifier_load_(waiting);\n    while (!", othersRun + "    do w = notifier_load_(waiting);\n    while (!"},
			edit{"    while (!(w & NOTIFIER_RING_ASKED) && !notifier_ring_swap_(waiting, w, w | NOTIFIER_RING_ASKED));\n    code = notifier_ring_room_(control, generation, len, self, queued, ticket, &idle);\n", "    while (!notifier_ring_swap_(waiting, w, w | NOTIFIER_RING_ASKED));\n"}, "", waiter},
		{"who waits sleeps on a number that is too new", edit{"sleep_(given, before, until)", "sleep_(given, (usleep(20), before), until)"},
			edit{"(usleep(20), before)", "(usleep(20), notifier_load_(given))"}, "", waiter},
		{"nobody leaves the queue", nobody, edit{"!notifier_ring_swap_(turn, w, w + 1)", "!notifier_ring_swap_(turn, w, w)"}, "", waiters},
		{"what is kept is kept for ever", nobody, edit{"  if (owner) notifier_ring_release_(control, owner);", ""}, "", waiters},
		{"the reader looks who waits, and then gives back", edit{giveBack, othersRun + giveBack}, edit{othersRun + giveBack + "  reader_wake(r);\n", "  reader_wake(r);\n" + othersRun + giveBack}, "", waiter},
		{"the end wakes nobody", nobody, edit{"_OFFSET_GENERATION), 10);\n  reader_wake(r);", "_OFFSET_GENERATION), 10);"}, "", waiters},

		{"a handler gets the same room", edit{"    uintptr_t was = from;", handlerProduces + "    uintptr_t was = from;"},
			edit{"    uintptr_t was = from;", "    uintptr_t was = from; *p = to; return 1;"}, "", handler},
		{"the end waits for nobody", edit{"  header = data + offset;\n", othersRun + "  header = data + offset;\n"},
			edit{"  while (LOAD(word_at(r->control, NOTIFIER_RING_OFFSET_ENTERED))) {\n  }\n", ""}, "", ending},
	} {
		t.Run(m.name, func(t *testing.T) { notices(t, m) })
	}
}
