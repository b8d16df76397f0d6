//go:build linux

package notifier

// This file runs the C programs of testdata/c, which use notifier.h on a block
// and a poller of their own, without Go: what a call returns and leaves alone,
// calls that are broken off at every instruction, threads that are cancelled,
// races. Where it can, it also runs them with a header that was broken on
// purpose, to show that they notice. It does not check Go's poller.

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wakechan/wakechan/internal/testenv"
)

var plain = []string{"-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"}

// with returns flags and more flags.
func with(flags []string, more ...string) []string { return slices.Concat(flags, more) }

// patience is testenv's, in seconds, as the programs take it.
func patience() string { return strconv.Itoa(int(testenv.Patience().Seconds())) }

// edit is one replacement in a text.
type edit struct{ old, new string }

// broken writes a notifier.h with some edits and returns the flag that makes a
// compiler take it.
func broken(t testing.TB, edits ...edit) string {
	t.Helper()
	text := Header()
	for _, e := range edits {
		require.True(t, strings.Contains(text, e.old), "the header has changed, change the edit too: %q", e.old)
		text = strings.ReplaceAll(text, e.old, e.new)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notifier.h"), []byte(text), 0o666))
	return "-I" + dir
}

var countCalls = "-Wl,--wrap=syscall"

func TestCodes(t *testing.T) {
	for _, c := range []struct {
		compiler, standard string
		flags              []string
	}{
		{"gcc", "gnu11", nil},
		{"clang", "gnu11", nil},
		{"g++", "c++17", []string{"-x", "c++"}},
		{"clang++", "c++20", []string{"-x", "c++"}},
		{"musl-gcc", "gnu11", []string{"-static"}},
	} {
		t.Run(c.compiler, func(t *testing.T) {
			if c.compiler != "gcc" {
				notShort(t, "one compiler is enough there")
			}
			flags := slices.Concat(c.flags, plain[1:], []string{"-std=" + c.standard, countCalls})
			assert.Equal(t, 12, strings.Count(run(t, build(t, c.compiler, flags, "codes.c")), "ok "))
		})
	}
}

func TestCodesNoticesMutants(t *testing.T) {
	notShort(t, "compiles six programs")
	for _, m := range []struct {
		name string
		edit edit
	}{
		{"the generation is not looked at", edit{"!= generation) return", "!= generation && !h) return"}},
		{"the process is not looked at", edit{"if (pid && pid != (uint32_t)getpid())", "if (0)"}},
		{"errno is lost", edit{"    errno = saved;", "    (void)saved;"}},
		{"no second try when interrupted", edit{"    if (errno != EINTR) return errno;\n  return 0;\n}\n\nNOTIFIER_INLINE_ int notifier_signal_", "    return errno;\n  return 0;\n}\n\nNOTIFIER_INLINE_ int notifier_signal_"}},
		{"a failed signal makes asleep even", edit{"    if (err) {\n", "    if (err) {\n    notifier_cas_(block + NOTIFIER_OFFSET_ASLEEP / 4, asleep, asleep + 1);\n"}},
		{"two indexes share a bit", edit{"index >> 15, asleep", "index >> 16, asleep"}},
	} {
		t.Run(m.name, func(t *testing.T) {
			out, errs, err := command(t, build(t, "gcc", with(plain, broken(t, m.edit), "-w", countCalls), "codes.c"))
			assert.Error(t, err, out)
			assert.Contains(t, errs, "codes.c:")
		})
	}
}

// Other processors, emulated: 32-bit, big-endian. That shows no fault of a weak
// memory order, since the emulator's is the host's; cbarrier_test.go looks at the
// instructions instead. Some emulators say that they wipe memory on fork and do
// not, so that is left out.
func TestCodesEmulated(t *testing.T) {
	notShort(t, "needs emulators")
	for _, c := range []struct{ compiler, emulator string }{
		{"aarch64-linux-gnu-gcc", "qemu-aarch64-static"},
		{"arm-linux-gnueabihf-gcc", "qemu-arm-static"},
		{"s390x-linux-gnu-gcc", "qemu-s390x-static"},
	} {
		t.Run(c.compiler, func(t *testing.T) {
			tool(t, c.emulator)
			program := build(t, c.compiler, with(plain, "-static", countCalls), "codes.c")
			assert.Equal(t, 10, strings.Count(run(t, c.emulator, program, "nowipe"), "ok "))
			program = build(t, c.compiler, with(plain, "-static"), "race.c")
			run(t, c.emulator, program, "50", patience())
		})
	}
}

// step compiles testdata/c/step.c with flags after the usual ones, runs it, and
// returns what it prints.
func step(t testing.TB, compiler string, flags []string, args ...string) (string, error) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("written for x86-64's single-stepping")
	}
	program := build(t, compiler, slices.Concat(plain, flags), "step.c")
	out, errs, err := command(t, program, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		testenv.Missing(t, "single-step", "the system does not let a program step through itself")
	}
	return out + errs, err
}

// A call may be broken off or interrupted at any instruction, in whatever state
// the ready set is: all others arrive, and the next call makes good for it.
func TestBrokenOffAnywhere(t *testing.T) {
	for _, v := range []struct {
		compiler, opt, mode string
		short               bool
		least               int
	}{
		{"gcc", "-O2", "quick", true, 4000},
		{"gcc", "-O2", "", false, 60000},
		{"clang", "-O2", "", false, 60000},
		{"gcc", "-O0", "quick", false, 10000},
	} {
		if testenv.Long() == v.short {
			continue
		}
		t.Run(v.compiler+v.opt, func(t *testing.T) {
			out, err := step(t, v.compiler, []string{v.opt}, v.mode)
			require.NoError(t, err, out)
			stops := 0
			_, err = fmt.Sscanf(out, "%d stops", &stops)
			require.NoError(t, err, out)
			assert.GreaterOrEqual(t, stops, v.least)
			t.Log(strings.TrimSpace(out))
		})
	}
}

// Each of these would pass most tests that run a program to its end.
func TestBrokenOffNoticesMutants(t *testing.T) {
	notShort(t, "compiles eight programs")
	const (
		mid     = "  (void)notifier_raise_(block + NOTIFIER_OFFSET_MID"
		top     = "  (void)notifier_raise_(block + NOTIFIER_OFFSET_TOP"
		root    = "  (void)notifier_raise_(block + NOTIFIER_OFFSET_ROOT"
		leaf    = "#ifdef NOTIFIER_TSAN_\n  coalesced ="
		look    = "  asleep = notifier_load_(block + NOTIFIER_OFFSET_ASLEEP / 4);\n"
		signal  = "    err = notifier_signal_(notifier_load_"
		first   = "if (!coalesced)"
		putOut  = "    notifier_cas_(block + NOTIFIER_OFFSET_ASLEEP / 4, asleep, asleep + 1);\n"
		atLimit = "if (err == EAGAIN) {\n      /* The counter is at its maximum"
	)
	for _, m := range []struct {
		name  string
		edits []edit
	}{
		{"the summaries are skipped when coalesced", []edit{{mid, first + mid}, {top, first + top}, {root, first + root}}},
		{"root is skipped when coalesced", []edit{{root, first + root}}},
		{"no signal when coalesced", []edit{{"if (asleep & 1) {", "if ((asleep & 1) && !coalesced) {"}}},
		{"asleep is made even before the signal", []edit{{signal, putOut + signal}}},
		{"asleep is looked at first", []edit{{look, ""}, {leaf, look + leaf}}},
		{"a summary is set before the leaf", []edit{{leaf, "(void)notifier_raise_(block + NOTIFIER_OFFSET_MID / 4 + (word >> 5), word & 31);\n" + leaf}, {mid, "  if (0) " + mid}}},
		{"a full counter passes for a signal", []edit{{atLimit, "if (err == EAGAIN) return 0;\n" + atLimit}}},
	} {
		t.Run(m.name, func(t *testing.T) {
			out, err := step(t, "gcc", []string{broken(t, m.edits...), "-w"})
			assert.Error(t, err, out)
			assert.Contains(t, out, "lost")
		})
	}
}

// Threads that are cancelled at random do no harm to others, and notifying is no
// point at which a thread is cancelled.
func TestCancelled(t *testing.T) {
	rounds := "2000"
	if !testenv.Long() {
		rounds = "200"
	}
	for _, c := range []struct {
		compiler string
		flags    []string
	}{{"gcc", nil}, {"clang", nil}, {"musl-gcc", []string{"-static"}}} {
		t.Run(c.compiler, func(t *testing.T) {
			if c.compiler != "gcc" {
				notShort(t, "one compiler is enough there")
			}
			out := run(t, build(t, c.compiler, slices.Concat(plain, c.flags), "cancel.c"), rounds, patience())
			assert.Equal(t, 3, strings.Count(out, "ok "), out)
		})
	}
	// What systems without a name in the header get.
	t.Run("generic", func(t *testing.T) {
		notShort(t, "this system has a name")
		flags := with(plain, broken(t, edit{"defined(__linux__)", "0"}))
		run(t, build(t, "gcc", flags, "cancel.c"), rounds, patience())
		run(t, build(t, "g++", with(flags[1:], "-x", "c++", "-std=c++17"), "race.c"), "50", patience())
	})
	t.Run("mutant", func(t *testing.T) {
		notShort(t, "the others are what counts")
		header := broken(t, edit{"syscall(SYS_write, fd, p, n)", "write(fd, p, n)"})
		out, errs, err := command(t, build(t, "gcc", with(plain, header), "cancel.c"), "10", patience())
		assert.Error(t, err, "write(2) was not noticed: %s", out)
		assert.Contains(t, errs, "cancelled")
	})
}

// Plain data goes from a producer to the poller with nothing but the protocol
// between them, and the detectors agree that it may.
func TestSanitizers(t *testing.T) {
	notShort(t, "slow builds")
	withoutTsan := []edit{{"#define NOTIFIER_TSAN_ 1", ""}}
	for _, compiler := range []string{"gcc", "clang"} {
		t.Run(compiler+"/thread", func(t *testing.T) {
			flags := with(plain, "-O1", "-fsanitize=thread")
			run(t, build(t, compiler, flags, "race.c"), "500", patience())
			// The fence that other processors get is the same to it, or to gcc worse.
			run(t, build(t, compiler, with(flags, "-DNOTIFIER_PLAIN_FENCE"), "race.c"), "100", patience())
			// A coalesced notification only looks at the bit, which is right but
			// beyond what it understands: it must say so, or it sees nothing.
			out, errs, err := command(t, build(t, compiler, with(flags, broken(t, withoutTsan...), "-w"), "race.c"), "500", patience())
			assert.Error(t, err, out)
			assert.Contains(t, errs, "data race")
		})
		t.Run(compiler+"/address_undefined", func(t *testing.T) {
			flags := with(plain, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
			run(t, build(t, compiler, flags, "race.c"), "500", patience())
			run(t, build(t, compiler, with(flags, countCalls), "codes.c"))
		})
	}
}

// Helgrind and DRD know no atomics: they would call each look at the ready set a
// race. Memcheck it is.
func TestValgrind(t *testing.T) {
	notShort(t, "slow")
	tool(t, "valgrind")
	memcheck := []string{"-q", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"}
	flags := with(plain, "-O1")
	run(t, "valgrind", append(memcheck, build(t, "gcc", with(flags, countCalls), "codes.c"))...)
	run(t, "valgrind", append(memcheck, build(t, "gcc", flags, "race.c"), "50", patience())...)
}

// The fence of the first step, on real hardware: a coalesced notification's data
// is seen by whoever takes the bit. WAKECHAN_LITMUS is how many seconds it tries.
func TestLitmus(t *testing.T) {
	notShort(t, "takes seconds")
	if runtime.NumCPU() < 2 {
		t.Skip("with one processor nothing is reordered")
	}
	seconds := "2"
	if s := os.Getenv("WAKECHAN_LITMUS"); s != "" {
		seconds = s
	}
	out := run(t, build(t, "gcc", plain, "litmus.c"), seconds)
	assert.Contains(t, out, "none lost")
	t.Log(strings.TrimSpace(out))

	// Without it, it must find one: this is what the fence is for, on x86 too.
	t.Run("mutant", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("the edit is x86's")
		}
		header := broken(t, edit{`"lock; or{l $0,%0| %0,0}"`, `""`})
		out, _, err := command(t, build(t, "gcc", with(plain, header), "litmus.c"), strconv.Itoa(int(4*testenv.Patience().Seconds())))
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "no lost notification without the fence: %s", out)
		assert.Equal(t, 3, exit.ExitCode(), out)
		t.Log(strings.TrimSpace(out))
	})
}
