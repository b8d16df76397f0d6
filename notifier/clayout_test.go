package notifier

// This file compares the layout of the shared memory in its two halves, the text
// of notifier.h and the Go one asked of the compiler, and pins both: testdata/abi.golden changes only together with NOTIFIER_ABI.

import (
	"fmt"
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

// goHalf is what every NOTIFIER_ macro of the header with a value must be.
// Those that have no counterpart in Go are the codes.
var goHalf = map[string]int64{
	"NOTIFIER_ABI":       abiVersion,
	"NOTIFIER_OK":        0,
	"NOTIFIER_COALESCED": 1,
	"NOTIFIER_CLOSED":    -1,
	"NOTIFIER_INVALID":   -2,
	"NOTIFIER_FAILED":    -3,

	"NOTIFIER_MAGIC":           blockMagic,
	"NOTIFIER_BASE_SHIFT":      blockShift,
	"NOTIFIER_INDEX_BITS":      indexBits,
	"NOTIFIER_GENERATION_BITS": generationBits,

	"NOTIFIER_OFFSET_MAGIC":      int64(unsafe.Offsetof(block{}.magic)),
	"NOTIFIER_OFFSET_ABI":        int64(unsafe.Offsetof(block{}.abi)),
	"NOTIFIER_OFFSET_KIND":       int64(unsafe.Offsetof(block{}.kind)),
	"NOTIFIER_OFFSET_DESCRIPTOR": int64(unsafe.Offsetof(block{}.descriptor)),
	"NOTIFIER_OFFSET_PID":        int64(unsafe.Offsetof(block{}.pid)),
	"NOTIFIER_OFFSET_ASLEEP":     int64(unsafe.Offsetof(block{}.asleep)),
	"NOTIFIER_OFFSET_ROOT":       int64(unsafe.Offsetof(block{}.root)),
	"NOTIFIER_OFFSET_TOP":        int64(unsafe.Offsetof(block{}.top)),
	"NOTIFIER_OFFSET_MID":        int64(unsafe.Offsetof(block{}.mid)),
	"NOTIFIER_OFFSET_LEAF":       int64(unsafe.Offsetof(block{}.leaf)),
	"NOTIFIER_OFFSET_GENERATION": int64(unsafe.Offsetof(block{}.generation)),
	"NOTIFIER_BLOCK_SIZE":        int64(blockSize),

	"NOTIFIER_BELL_NONE":    kindNone,
	"NOTIFIER_BELL_EVENTFD": kindEventFD,
	"NOTIFIER_BELL_PIPE":    kindPipe,
	"NOTIFIER_BELL_KQUEUE":  kindKqueue,
	"NOTIFIER_BELL_IOCP":    kindIOCP,
	"NOTIFIER_BELL_LOOP":    kindLoop,
}

// The numbers in the text of the header, without a compiler.
func TestLayoutInHeaderText(t *testing.T) {
	assert.Equal(t, goHalf, golden.Values(golden.Constants(t, Header())))
}

func TestLayoutInHeaderTable(t *testing.T) {
	golden.Table(t, Header(), "NOTIFIER_OFFSET_", goHalf)
}

// The ABI may be added to; what it has stays as it is as long as its number does.
func TestABIStays(t *testing.T) {
	var list strings.Builder
	for _, c := range golden.Constants(t, Header()) {
		fmt.Fprintf(&list, "%s %d\n", c.Name, c.Value)
	}
	for _, line := range regexp.MustCompile(`(?m)^.*notifier_notify\(notifier_handle h\)|^typedef .*notifier_handle;`).FindAllString(Header(), -1) {
		fmt.Fprintln(&list, line)
	}
	require.NoError(t, golden.Kept(golden.Listing(t, "abi.golden"), list.String(), fmt.Sprintf("NOTIFIER_ABI %d", abiVersion)),
		"the number of the ABI must change, and CHANGELOG.md say so")
	golden.Holds(t, "abi.golden", list.String())

	log := golden.Changelog(t)
	assert.Contains(t, log, fmt.Sprintf("C ABI %d", abiVersion), "the ABI's number must stand in CHANGELOG.md")
}

// The page about the ABI repeats the offsets, for authors of other languages.
func TestLayoutInDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "c-abi.md"))
	require.NoError(t, err)
	got, want := map[string]int64{}, map[string]int64{}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d+) \\| `(\\w+)` \\|").FindAllSubmatch(page, -1) {
		got["NOTIFIER_OFFSET_"+strings.ToUpper(string(m[2]))], _ = strconv.ParseInt(string(m[1]), 10, 64)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(NOTIFIER_\\w+)` \\| (-?\\d+) \\|").FindAllSubmatch(page, -1) {
		got[string(m[1])], _ = strconv.ParseInt(string(m[2]), 10, 64)
	}
	for name, v := range goHalf {
		if strings.HasPrefix(name, "NOTIFIER_OFFSET_") || regexp.MustCompile(`_(OK|COALESCED|CLOSED|INVALID|FAILED)$`).MatchString(name) {
			want[name] = v
		}
	}
	assert.Equal(t, want, got)
	assert.Contains(t, string(page), fmt.Sprintf("`NOTIFIER_ABI` is %d.", abiVersion))
}
