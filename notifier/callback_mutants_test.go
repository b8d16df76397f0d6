//go:build linux && amd64 && !wakechan_fakelibc

package notifier

// This file breaks the C functions on purpose, one instruction at a time, to show that
// their tests notice.

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallbackMutants(t *testing.T) {
	needBuilds(t)
	// The go command's overlay does not reach what the assembler includes.
	const source = "callback_linux_amd64.s"
	main, err := os.ReadFile(source)
	require.NoError(t, err)
	text := regexp.MustCompile(`#include "(callback_[^"]*)"`).ReplaceAllStringFunc(string(main), func(line string) string {
		included, err := os.ReadFile(strings.Split(line, `"`)[1])
		require.NoError(t, err)
		return string(included)
	})
	for _, m := range []struct{ name, old, new string }{
		{"nothing", "", ""},
		{"the number is not looked at", "	JLT	invalid\n", ""},
		{"the magic is not looked at", "	CMPL	block_magic(R8), $const_blockMagic\n	JNE	otherBlock\n", ""},
		{"the process is not looked at", "	JNE	checkPID", "	NOP"},
		{"the generation is not looked at", "	CMPL	block_generation(R8)(DX*4), R9\n	JNE	closed\n", ""},
		{"two indexes share a bit", "$(const_generationBits+15), CX", "$(const_generationBits+16), CX"},
		{"two indexes share a word", "	SHRL	$11, DX\n", "	SHRL	$12, DX\n"},
		{"the levels are left out when coalesced", "	JCC	setLeaf\n", "	JCC	setLeaf\n	JMP	asleep\n"},
		{"top is left out", "	JCC	setTop\n", ""},
		{"asleep stays odd", "	CMPXCHGL	CX, block_asleep(R8)\n", "	ORL	$0, block_asleep(R8)\n"},
		{"asleep becomes even though the signal failed", "failed:\n", "failed:\n	INCL	block_asleep(R8)\n"},
		{"a full eventfd is taken for signalled", "	CMPL	DX, $1 // a pipe", "	CMPL	DX, DX // a pipe"},
		{"a register of the caller's", "closed:\n", "closed:\n	INCQ	BX\n"},
		{"the direction flag", "invalid:\n", "invalid:\n	STD\n"},
		{"no landing pad", "BYTE $0xf3; BYTE $0x0f; BYTE $0x1e; BYTE $0xfa", "BYTE $0x90; BYTE $0x90; BYTE $0x90; BYTE $0x90"},
		{"two slots are mixed up", "	BYTE	$(slot); ", "	BYTE	$((slot)^1); "},
	} {
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			mutant, overlay, binary := filepath.Join(dir, source), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "test")
			changed := text
			if m.old != "" {
				require.Equal(t, 1, strings.Count(text, m.old), "the code has changed, change the mutant too: %q", m.old)
				changed = strings.Replace(text, m.old, m.new, 1)
			}
			require.NoError(t, os.WriteFile(mutant, []byte(changed), 0o666))
			here, err := filepath.Abs(source)
			require.NoError(t, err)
			list, err := json.Marshal(map[string]any{"Replace": map[string]string{here: mutant}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, list, 0o666))
			goCommand(t, []string{"CGO_ENABLED=0"}, "test", "-c", "-vet=off", "-overlay="+overlay, "-o", binary, ".")
			run := exec.CommandContext(t.Context(), binary, "-test.short", "-test.run=^TestCallback(sAreTheHeader|Addresses)$")
			out, err := run.CombinedOutput()
			if m.old == "" {
				require.NoError(t, err, "%s", out)
			} else {
				assert.Error(t, err, "nobody notices")
			}
		})
	}
}
