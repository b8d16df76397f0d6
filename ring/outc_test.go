//go:build linux

package ring

// This file runs both halves of an Out's protocol in C, without Go, under sanitizers,
// and with a header that was broken on purpose: testdata/c/out.c. That the header
// compiles everywhere is c_test.go's business.

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// It does not use all of consumers.h and producers.h.
var outC = append(slices.Clone(plainC), "-Wno-unused-function")

// outInC runs out.c in each way. Of a jump, sanitizers understand nothing: only where
// jumps is true.
func outInC(t *testing.T, program string, count int, jumps bool) {
	ways := [][]string{}
	for _, how := range []string{"0", "1", "2"} {
		ways = append(ways, []string{"stress", strconv.Itoa(count), how, "0", "1", "0"}, []string{"stress", strconv.Itoa(count), how, "1", "1", "0"},
			[]string{"close", strconv.Itoa(count / 40), how})
		if jumps {
			ways = append(ways, []string{"stress", strconv.Itoa(count), how, "2", "1", "0"})
		}
	}
	ways = append(ways, []string{"stress", strconv.Itoa(count), "0", "0", "3", "0"}, // several threads
		[]string{"stress", strconv.Itoa(count), "1", "0", "1", "1"}) // ordinary stores, and ordinary loads of what is peeked at
	for _, way := range ways {
		out, err := runC(t, program, way...)
		require.NoError(t, err, "%v: %s", way, out)
	}
}

func TestOutInC(t *testing.T) {
	outInC(t, compileC(t, "gcc", slices.Concat(outC, []string{"-O2"}), "out.c"), testenv.Times(20_000), true)
}

func TestOutInCSanitized(t *testing.T) {
	if reducedC() {
		t.Skip("slow builds")
	}
	for _, compiler := range []string{"gcc", "clang"} {
		t.Run(compiler+"/thread", func(t *testing.T) {
			flags := slices.Concat(outC, []string{"-O1", "-fsanitize=thread"})
			outInC(t, compileC(t, compiler, flags, "out.c"), testenv.Times(10_000), false)
		})
		t.Run(compiler+"/address_undefined", func(t *testing.T) {
			flags := slices.Concat(outC, []string{"-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"})
			outInC(t, compileC(t, compiler, flags, "out.c"), testenv.Times(20_000), false)
		})
	}
}

// Each of these breaks a promise, and the program or the sanitizer says so. Others, which
// show in too few of a million tries, are the model's (verify/model/cases.txt, out-).
func TestOutInCNoticesMutants(t *testing.T) {
	if reducedC() {
		t.Skip("compiles some programs")
	}
	handler := []string{"out.c", "stress", "20000", "0", "1", "1", "0"}
	peeking := []string{"out.c", "stress", "20000", "1", "1", "1", "0"}
	crowd := []string{"out.c", "stress", "20000", "0", "0", "3", "0"}
	ending := []string{"out.c", "close", "500", "0"}
	plain := []string{"out.c", "stress", "3000", "1", "0", "1", "1"}
	const thread = "-fsanitize=thread"
	const copied = "      notifier_out_copy_(buf, header + NOTIFIER_OUT_HEADER_SIZE, n);\n"
	const taken = "      if (!notifier_out_take_(control, p, n)) continue; /* it may have been overwritten while it was copied */\n"
	var nobody edit
	for _, m := range []mutant{
		{"taken before it is copied", edit{copied, othersRun + copied}, edit{othersRun + copied + taken, taken + othersRun + copied}, "", crowd},
		{"taken twice", edit{taken, othersRun + taken}, edit{taken, "(void)notifier_out_take_(control, p, n);\n"}, "", crowd},
		{"a handler reads what is held", edit{"      *rec = header", handlerConsumes + "      *rec = header"},
			edit{"_HELD)) == (p | 1)) break;", "_HELD)) == 1) break;"}, "", peeking},
		{"held without a second look", edit{"    was = notifier_ring_load_(held);\n", handlerConsumes + "    was = notifier_ring_load_(held);\n"},
			edit{"_CONSUMER)) == p) {\n      *rec", "_CONSUMER)) | 1) {\n      *rec"}, "", peeking},
		{"nobody is inside", nobody, edit{"_OFFSET_INSIDE), 1, __ATOMIC_SEQ_CST);\n#endif\n#if", "_OFFSET_INSIDE), 0, __ATOMIC_SEQ_CST);\n#endif\n#if"}, "", ending},
		{"the generation is not looked at", edit{"NOTIFIER_INLINE_ void notifier_out_enter_(char *control) {\n", "NOTIFIER_INLINE_ void notifier_out_enter_(char *control) {\n" + othersRun},
			edit{"!= notifier_ring_generation_(o) ||\n        (p &", "== 0 ||\n        (p &"}, "", ending},
		{"padding is a record", nobody, edit{"if (n & NOTIFIER_OUT_PADDING) {", "if (0) {"}, "", handler},
		{"nobody is done", nobody, edit{"if (n && h == (p | 1)) {", "if (0) {"}, "", peeking},
		{"what is read is not given back in order", nobody, edit{"p + NOTIFIER_OUT_HEADER_SIZE + (((uintptr_t)n + 7) & ~(uintptr_t)7));\n}", "p + NOTIFIER_OUT_HEADER_SIZE + (uintptr_t)n);\n}"}, "", handler},
		{"position is not acquired", nobody, edit{"uintptr_t notifier_ring_load_(volatile uintptr_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }",
			"uintptr_t notifier_ring_load_(volatile uintptr_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }\n#define notifier_load_(p) __atomic_load_n(p, __ATOMIC_RELAXED)"}, thread, plain},
		{"consumer is not released", nobody, edit{"return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);\n}\nNOTIFIER_INLINE_ int notifier_ring_swap_",
			"return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);\n}\nNOTIFIER_INLINE_ int notifier_ring_swap_"}, thread, plain},
	} {
		t.Run(m.name, func(t *testing.T) { notices(t, m) })
	}
}
