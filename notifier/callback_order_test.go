package notifier

// This file holds the order of what the C functions in Go's assembler do, in which no run
// on one processor shows a fault: the steps of notifier.h, the fence first.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func source(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(text)
}

// stepNames returns the names of the steps, in the order in which text's comments have them.
func stepNames(text string) []string {
	return regexp.MustCompile(`(?m)^\s*(?://|/\*) ([1-5][ab]?\. The [a-z ]+)\.`).FindAllString(text, -1)
}

// The steps have the same names in the same order wherever they stand: in C, in Go, in
// assembler, and in the model.
func TestStepsHaveTheSameNames(t *testing.T) {
	name := regexp.MustCompile(`[1-5].*`)
	names := func(text string) (all []string) {
		for _, n := range stepNames(text) {
			all = append(all, name.FindString(n))
		}
		return all
	}
	want := names(source(t, "notifier.h"))
	require.Equal(t, []string{"1. The fence.", "2. The generation.", "3. The leaf bit.", "4. The levels above.", "5. The doorbell.",
		"5a. The signal.", "5b. The even number."}, want)
	assert.Equal(t, want, names(source(t, "readyset.go")))
	assert.Equal(t, want, names(source(t, "..", "verify", "model", "model.pml")))
	files, err := filepath.Glob("callback_l*.s")
	require.NoError(t, err)
	files = append(files, "callback_windows_amd64.s")
	assert.Len(t, files, 5)
	for _, file := range files {
		assert.Equal(t, want, names(assembler(t, file)), file)
	}
}

// assembler returns a file of assembly with its steps, which it includes.
func assembler(t *testing.T, name string) string {
	t.Helper()
	return regexp.MustCompile(`#include "(callback_steps_[^"]*)"`).ReplaceAllStringFunc(source(t, name), func(line string) string {
		return source(t, strings.Split(line, `"`)[1])
	})
}

// instructions returns assembly without its comments.
func instructions(text string) string {
	return regexp.MustCompile(`//[^\n]*`).ReplaceAllString(text, "")
}

// missing returns the first step that text does not have after those before it, or "".
func missing(text string, steps []string) string {
	text = instructions(text)
	for _, step := range steps {
		at := strings.Index(text, step)
		if at < 0 {
			return step
		}
		text = text[at+len(step):]
	}
	return ""
}

var (
	stepsAMD64 = []string{
		"LOCK\n\tORL\t$0, scratch", "CMPL\tblock_magic(R8)", "CMPL\tblock_abi(R8)", "CHECK_PID", "mine:", "CMPL\tblock_generation(R8)",
		"MOVL\tblock_leaf(R8)", "JCC\tsetLeaf", "mid:", "MOVL\tblock_mid(R8)", "JCC\tsetMid", "top:", "MOVL\tblock_top(R8)", "JCC\tsetTop",
		"root:", "MOVL\tblock_root(R8)", "JCC\tsetRoot", "asleep:", "TESTB\t$1, block_asleep(R8)", "JNE\tsignal", "done:", "RET",
		"setLeaf:", "BTSL\tCX, block_leaf(R8)", "JMP\tmid", "setMid:", "BTSL\tCX, block_mid(R8)", "JMP\ttop",
		"setTop:", "BTSL\tCX, block_top(R8)", "JMP\troot", "setRoot:", "BTSL\tDX, block_root(R8)", "JMP\tasleep",
		"signal:", "MOVL\tblock_asleep(R8), CX", "JEQ\tdone",
	}
	stepsARM64 = []string{
		"DMB\t$0xb", "block_magic, R9", "block_abi, R9", "block_pid, R9", "mine:", "LOOK(block_generation", "LOOK(block_leaf", "R2, setLeaf",
		"mid:", "LOOK(block_mid", "R2, setMid", "top:", "LOOK(block_top", "R2, setTop", "root:", "block_root, R9", "R2, setRoot",
		"asleep:", "block_asleep, R9", "R10, signal", "done:", "LEAVE",
		"setLeaf:", "SET(", "B\tmid", "setMid:", "SET(", "B\ttop", "setTop:", "SET(", "B\troot", "setRoot:", "SET(", "B\tasleep", "signal:",
	}
	evenAMD64 = []string{"MOVL\tasleepAt, AX", "LEAL\t1(AX), CX", "LOCK\n\tCMPXCHGL\tCX, block_asleep(R8)", "failed:"}
)

// orders are the steps of each file. What failed comes last, after the even number.
func orders() map[string][]string {
	join := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	return map[string][]string{
		"callback_linux_amd64.s":   join(stepsAMD64, []string{"write:", "SYSCALL", "JLT\tfailed", "signalled:"}, evenAMD64),
		"callback_libc_amd64.s":    join(stepsAMD64, []string{"CALL\twakechan_write", "failed:", "CALL\twakechan_kevent", "JMP\tfailed", "signalled:"}, evenAMD64[:3]),
		"callback_windows_amd64.s": join(stepsAMD64, []string{"postAddress", "CALL\tAX", "JEQ\tfailed"}, evenAMD64),
		"callback_linux_arm64.s":   join(stepsARM64, []string{"write:", "SVC", "failed", "signalled:", "ADDW\t$1, R10, R3", "LDAXRW", "CMPW\tR10, R2", "STLXRW\tR3", "failed:"}),
		"callback_libc_arm64.s":    join(stepsARM64, []string{"CALL\twakechan_write", "failed:", "CALL\twakechan_kevent", "B\tfailed", "signalled:", "LDAXRW", "STLXRW"}),
	}
}

func TestCallbackStepsAreInOrder(t *testing.T) {
	for name, steps := range orders() {
		assert.Empty(t, missing(assembler(t, name), steps), "%s: a step is missing, or comes too early", name)
	}
}

// Mutants of which no run on one processor would tell.
func TestCallbackOrderMutants(t *testing.T) {
	const even = "LOCK\n\tCMPXCHGL\tCX, block_asleep(R8)\n"
	amd64 := []struct{ name, old, new, insertAt string }{
		{"no fence", "LOCK\n\tORL\t$0, scratch", "", ""},
		{"the fence is none", "LOCK\n\tORL\t$0, scratch", "ORL\t$0, scratch", ""},
		{"the fence comes after the generation", "LOCK\n\tORL\t$0, scratch\n", "", "JNE\tclosed\n"},
		{"the leaf bit before the generation", "mine:\n", "", "JCC\tsetLeaf\n"},
		{"no levels after the leaf bit", "JMP\tmid", "JMP\tasleep", ""},
		{"top is left out", "JMP\ttop", "JMP\troot", ""},
		{"asleep is looked at before root", "TESTB\t$1, block_asleep(R8)\n", "", "root:\n"},
		{"even before the signal", even, "", "signal:\n"},
		{"even without a lock", even, "CMPXCHGL\tCX, block_asleep(R8)\n", ""},
	}
	arm64 := []struct{ name, old, new, insertAt string }{
		{"no fence", "DMB\t$0xb", "", ""},
		{"the fence orders loads only", "DMB\t$0xb", "DMB\t$0x9", ""},
		{"the fence comes after the generation", "DMB\t$0xb\n", "", "LOOK(block_generation, R11)\n"},
		{"no levels after the leaf bit", "B\tmid", "B\tasleep", ""},
		{"top is left out", "B\ttop", "B\troot", ""},
		{"asleep is looked at before root", "ADD\t$block_asleep, R9, R5\n\tLDARW\t(R5), R10\n", "", "root:\n"},
		{"even before the signal", "STLXRW\tR3, (R5), R7\n", "", "signal:\n"},
	}
	for name, steps := range orders() {
		text := instructions(assembler(t, name))
		mutants := amd64
		if strings.Contains(name, "arm64") {
			mutants = arm64
		}
		for _, m := range mutants {
			require.Equal(t, 1, strings.Count(text, m.old), "%s has changed, change the mutant too: %q", name, m.old)
			changed := strings.Replace(text, m.old, m.new, 1)
			if m.insertAt != "" {
				require.Contains(t, changed, m.insertAt, name)
				changed = strings.Replace(changed, m.insertAt, m.insertAt+"\t"+m.old, 1)
			}
			assert.NotEmpty(t, missing(changed, steps), "%s: nobody notices: %s", name, m.name)
		}
	}
}

// On arm64 each word of the block is loaded with acquire semantics, and written with
// release: that orders them as the fences of other processors do.
func TestCallbackOrderARM64(t *testing.T) {
	for _, name := range []string{"callback_steps_arm64.h", "callback_linux_arm64.s", "callback_libc_arm64.s"} {
		text := instructions(source(t, name))
		assert.Empty(t, regexp.MustCompile(`MOV\w*\s+(block_\w+)?\((R5|R9)\)`).FindAllString(text, -1), "%s: a plain load of the block", name)
		assert.Empty(t, regexp.MustCompile(`MOV\w*\s+\w+, (block_\w+)?\((R5|R9)\)`).FindAllString(text, -1), "%s: a plain store to the block", name)
		assert.Empty(t, regexp.MustCompile(`\b(LDXRW|STXRW)\b`).FindAllString(text, -1), name)
		assert.Contains(t, text, "LDARW")
		assert.Contains(t, text, "STLXRW")
	}
}
