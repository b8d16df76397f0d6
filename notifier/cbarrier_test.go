//go:build linux

package notifier

// This file takes compiled code apart and looks for the barriers that the
// protocol's argument needs. Emulators cannot show a missing one, since they
// have the host's memory order, and x86 hides all but one. The argument, for
// arm64, the weakest of the common ones (Arm's DDI 0487, section B2.3), is this;
// cmemory_test.go proves it by trying every execution:
//
//  1. The full fence before the look at the bit, in C and in Go, and the one
//     after clearing it. In C it is DMB ISH, a full barrier. In Go it is a
//     store-release (STLR) and a load-acquire (LDAR) of a word of its own:
//     whatever comes before is ordered before a store-release, that before a
//     later load-acquire, and that before whatever comes after
//     (barrier-ordered-before has all three, and is transitive). So data written
//     before, plain or not, is visible before the look, and both sides together
//     are the store-buffering test with two full fences, which is forbidden.
//     An LDAPR in the place of the LDAR would break it: a store-release is not
//     ordered before that.
//
//  2. A setter writes low and then looks high, the poller writes high and then
//     looks low, or stores asleep and then looks at root. Each such pair is a
//     write with release semantics (STLR, STLXR, LDSETAL, LDCLRAL, SWPAL) and a
//     look with acquire semantics (LDAR, not LDAPR), which stay in order. Without
//     the L in the first or with a plain LDR for the second they would not.
//
//  3. A setter that finds the bit set does not write, but its looks are LDARs,
//     and everything after one of those stays after it: so it sees the level
//     above no older than the level below.
//
//  4. The result of an LDSETAL may be unused, but not discarded into the zero
//     register: the instruction would then be STSETL, without the acquire. The
//     protocol does not need that acquire (what follows is an LDAR, ordered after
//     the release half), but nothing here should be weaker than it says.
//
// On x86 only a later load overtakes an earlier store, so the fence of 1 is the
// only one that takes an instruction: a locked one, before the first look. In 2
// the write is a locked instruction itself (Intel SDM vol. 3, 9.2.3).

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/wakechan/wakechan/internal/testenv"
)

// instruction is one line of a disassembly.
type instruction struct{ mnemonic, operands string }

func (i instruction) String() string { return i.mnemonic + " " + i.operands }

var (
	objdumpFunction = regexp.MustCompile(`^[0-9a-f]+ <(\w+)>:`)
	objdumpLine     = regexp.MustCompile(`^ +[0-9a-f]+:\t(\S+)\s*(.*)`)
)

// disassemble compiles testdata/c/barriers.c and returns each function's
// instructions.
func disassemble(t *testing.T, objdump, compiler string, flags ...string) map[string][]instruction {
	t.Helper()
	tool(t, objdump)
	object := build(t, compiler, slices.Concat([]string{"-std=c11", "-O2", "-c", "-Wall", "-Werror"}, flags), "barriers.c")
	functions := map[string][]instruction{}
	name := ""
	for line := range strings.Lines(run(t, objdump, "-d", "--no-show-raw-insn", object)) {
		if m := objdumpFunction.FindStringSubmatch(line); m != nil {
			name = m[1]
		} else if m := objdumpLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			functions[name] = append(functions[name], instruction{m[1], m[2]})
		}
	}
	require.Contains(t, functions, "call_notify")
	return functions
}

func find(code []instruction, is func(instruction) bool) int { return slices.IndexFunc(code, is) }

func TestBarriersAMD64(t *testing.T) {
	fence := func(i instruction) bool { return i.mnemonic == "lock" || i.mnemonic == "mfence" }
	// The block is at an address in a register that is not the stack's.
	look := func(i instruction) bool {
		return strings.HasPrefix(i.mnemonic, "mov") && regexp.MustCompile(`^[^,(]*\(%r[^s]`).MatchString(i.operands)
	}
	for _, c := range [][]string{{"gcc"}, {"clang"}, {"gcc", "-DNOTIFIER_PLAIN_FENCE"}, {"clang", "-DNOTIFIER_PLAIN_FENCE"}, {"gcc", "-O3", "-march=native"}} {
		t.Run(strings.Join(c, ""), func(t *testing.T) {
			if runtime.GOARCH != "amd64" {
				t.Skip("for x86-64")
			}
			functions := disassemble(t, "objdump", c[0], c[1:]...)
			for _, name := range []string{"call_notify", "notifier_steps_"} {
				code := functions[name]
				require.NotEmpty(t, code, name)
				first := find(code, look)
				require.Positive(t, first, "%s: no look at the block in %v", name, code)
				at := find(code, fence)
				assert.True(t, at >= 0 && at < first, "%s: no fence before the first look, %v:\n%v", name, code[first], code)
			}
		})
	}
	// The test finds nothing where there is nothing.
	t.Run("mutant", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("for x86-64")
		}
		functions := disassemble(t, "objdump", "gcc", broken(t, edit{`"lock; or{l $0,%0| %0,0}"`, `""`}))
		code := functions["call_notify"]
		assert.Negative(t, find(code, fence), "%v", code)
		assert.Positive(t, find(code, look), "%v", code)
	})
}

func TestBarriersARM64(t *testing.T) {
	notShort(t, "cross compilers")
	for _, c := range []struct {
		name, compiler string
		flags          []string
		rmw            string // what sets a bit
	}{
		{"gcc armv8-a", "aarch64-linux-gnu-gcc", []string{"-march=armv8-a", "-mno-outline-atomics"}, "stlxr"},
		{"gcc armv8-a outline", "aarch64-linux-gnu-gcc", []string{"-march=armv8-a", "-moutline-atomics"}, "__aarch64_ldset4_acq_rel"},
		{"gcc armv8.1-a lse", "aarch64-linux-gnu-gcc", []string{"-march=armv8.1-a+lse"}, "ldsetal"},
		{"gcc armv8.3-a rcpc", "aarch64-linux-gnu-gcc", []string{"-march=armv8.3-a"}, "ldsetal"},
		{"gcc armv8.1-a unoptimized", "aarch64-linux-gnu-gcc", []string{"-march=armv8.1-a", "-O0"}, "ldsetal"},
		{"clang armv8-a", "clang", []string{"--target=aarch64-linux-gnu", "-march=armv8-a", "-mno-outline-atomics", "-isystem", "/usr/aarch64-linux-gnu/include"}, "stlxr"},
		{"clang armv8.3-a lse rcpc", "clang", []string{"--target=aarch64-linux-gnu", "-march=armv8.3-a", "-isystem", "/usr/aarch64-linux-gnu/include"}, "ldsetal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tool(t, "aarch64-linux-gnu-gcc") // clang takes its headers
			var all []instruction
			functions := disassemble(t, "aarch64-linux-gnu-objdump", c.compiler, c.flags...)
			inlined := !slices.Contains(c.flags, "-O0")
			for name, code := range functions {
				all = append(all, code...)
				if name != "call_notify" && name != "notifier_steps_" || !inlined {
					continue
				}
				// 1. The fence comes before the first look.
				fence := find(code, func(i instruction) bool { return i.mnemonic == "dmb" && i.operands == "ish" })
				look := find(code, func(i instruction) bool { return i.mnemonic == "ldar" })
				assert.True(t, fence >= 0 && fence < look, "%s: fence at %d, first look at %d: %v", name, fence, look, code)
			}
			count := map[string]int{}
			for _, i := range all {
				count[i.mnemonic]++
				if i.mnemonic == "bl" {
					for _, f := range strings.FieldsFunc(i.operands, func(r rune) bool { return strings.ContainsRune("<> +", r) }) {
						count[f]++
					}
				}
			}
			// 2. and 3. Looks are LDAR; writes have the release half.
			assert.Positive(t, count["dmb"])
			assert.Positive(t, count["ldar"])
			if inlined {
				assert.GreaterOrEqual(t, count["ldar"], 12, "looks of both halves")
			}
			if !strings.HasPrefix(c.rmw, "__") {
				assert.Positive(t, count[c.rmw], "%v", count)
			}
			for _, i := range all {
				switch m := i.mnemonic; {
				case strings.HasPrefix(m, "ldapr"), strings.HasPrefix(m, "stset"), strings.HasPrefix(m, "ldxr"), strings.HasPrefix(m, "stxr"):
					t.Errorf("%v is too weak", i)
				case strings.HasPrefix(m, "ldset") && m != "ldsetal", strings.HasPrefix(m, "cas") && m != "casal":
					t.Errorf("%v is too weak", i)
				case m == "ldsetal" && regexp.MustCompile(`, [wx]zr,`).MatchString(i.operands):
					t.Errorf("%v has lost its acquire half", i)
				}
			}
		})
	}
	// In the library that the outlined ones are in, the same rules hold.
	t.Run("libgcc", func(t *testing.T) {
		tool(t, "aarch64-linux-gnu-gcc")
		object := build(t, "aarch64-linux-gnu-gcc", []string{"-std=c11", "-O2", "-c", "-moutline-atomics", "-march=armv8-a"}, "barriers.c")
		undefined := run(t, "aarch64-linux-gnu-nm", "-u", object)
		for _, line := range strings.Fields(undefined) {
			if strings.HasPrefix(line, "__aarch64_") {
				assert.True(t, strings.HasSuffix(line, "_acq_rel"), "%s is too weak", line)
			}
		}
		assert.Contains(t, undefined, "__aarch64_ldset4_acq_rel")
		assert.Contains(t, undefined, "__aarch64_cas4_acq_rel")
	})
}

// The fence of other processors: there at all, before anything is looked at.
func TestBarriersOther(t *testing.T) {
	notShort(t, "cross compilers")
	for _, c := range []struct{ prefix, mnemonic, operands string }{
		{"s390x-linux-gnu", "bnor|br|bcr", `^(1[45],)?%r0$`}, // BCR 14,0 or 15,0: serialization
		{"arm-linux-gnueabihf", "dmb", "^ish"},
	} {
		t.Run(c.prefix, func(t *testing.T) {
			code := disassemble(t, c.prefix+"-objdump", c.prefix+"-gcc")["call_notify"]
			mnemonic, operands := regexp.MustCompile("^("+c.mnemonic+")$"), regexp.MustCompile(c.operands)
			assert.GreaterOrEqual(t, find(code, func(i instruction) bool {
				return mnemonic.MatchString(i.mnemonic) && operands.MatchString(i.operands)
			}), 0, "%v", code)
		})
	}
}

// The Go half, as this Go compiles it: fence is what its comment says, and the
// compiler has not thrown away a word that nobody else reads. WAKECHAN_OVERLAY is
// verify/mutate's: the sources as it has broken them.
func TestBarriersGo(t *testing.T) {
	notShort(t, "compiles for other processors")
	for _, c := range []struct {
		arch  string
		fence string // of the mnemonics, one after another
		swap  string // as scan exchanges a summary
		store string // as fallAsleep exchanges asleep
		load  string
	}{
		{"arm64", "STLRW LDARW", "SWPALW|STLXRW", "SWPALW", "LDARW"},
		{"amd64", "XCHGL", "XCHGL", "XCHGL", "MOVL"},
	} {
		t.Run(c.arch, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-S", "-overlay="+os.Getenv("WAKECHAN_OVERLAY"), ".")
			cmd.Env = append(cmd.Environ(), "GOOS=linux", "GOARCH="+c.arch, "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
			listing, err := cmd.CombinedOutput()
			if err != nil {
				testenv.Missing(t, "go", string(listing))
			}
			functions := goListing(listing)
			fences := strings.Fields(c.fence)
			for _, name := range []string{"(*Notifier).Notify", "(*Notifier).deliver", "(*Notifier).pass", "(*Notifier).take", "(*readySet).notify"} {
				code := functions[name]
				require.NotEmpty(t, code, "%s: not in the listing", name)
				found := false
				for i := range code[:len(code)-len(fences)+1] {
					found = found || slices.Equal(code[i:i+len(fences)], fences)
				}
				assert.True(t, found, "%s has no %s: %v", name, c.fence, code)
			}
			scan := functions["(*readySet).scan"]
			assert.GreaterOrEqual(t, len(regexp.MustCompile(`\b(`+c.swap+`)\b`).FindAllString(strings.Join(scan, " "), -1)), 3, "%v", scan)
			bed := functions["(*readySet).fallAsleep"]
			store := slices.Index(bed, c.store)
			assert.True(t, store >= 0 && slices.Contains(bed[store:], c.load), "asleep is not stored before root is looked at: %v", bed)
		})
	}
}

// goListing returns the mnemonics of each function in a -S listing.
func goListing(listing []byte) map[string][]string {
	const path = "github.com/wakechan/wakechan/notifier."
	functions := map[string][]string{}
	name := ""
	for lines := bufio.NewScanner(bytes.NewReader(listing)); lines.Scan(); {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, path); ok {
			name, _, _ = strings.Cut(rest, " ")
		} else if f := strings.Split(line, "\t"); len(f) >= 3 && strings.HasPrefix(f[1], "0x") {
			switch m := f[2]; {
			case m == "PCDATA", m == "FUNCDATA", m == "NOP", m == "HINT": // no instructions, or none that does anything
			case m == "XCHGL" && slices.Equal(f[3:], []string{"AX, AX"}): // the one-byte NOP
			default:
				functions[name] = append(functions[name], m)
			}
		}
	}
	return functions
}
