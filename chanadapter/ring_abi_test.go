package chanadapter

// This file compares the layout of a ring's memory in its two halves, the text of
// ring.h and the Go one. What a C compiler makes of the header is ring_c_test.go's
// business.

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

	"github.com/wakechan/wakechan/chanadapter/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/golden"
)

// ringHalf is what every macro of ring.h with a value must be.
var ringHalf = map[string]int64{
	"NOTIFIER_RING_ABI":  ringABI,
	"NOTIFIER_FULL":      ringforeign.Full,
	"NOTIFIER_TOO_LARGE": ringforeign.TooLarge,

	"NOTIFIER_RING_MAGIC":           ringMagic,
	"NOTIFIER_RING_BASE_SHIFT":      ringBaseShift,
	"NOTIFIER_RING_GENERATION_BITS": ringGenerationBits,

	"NOTIFIER_RING_OFFSET_MAGIC":      int64(unsafe.Offsetof(ringControl{}.magic)),
	"NOTIFIER_RING_OFFSET_ABI":        int64(unsafe.Offsetof(ringControl{}.abi)),
	"NOTIFIER_RING_OFFSET_GENERATION": int64(unsafe.Offsetof(ringControl{}.generation)),
	"NOTIFIER_RING_OFFSET_FLAGS":      int64(unsafe.Offsetof(ringControl{}.flags)),
	"NOTIFIER_RING_OFFSET_SIZE":       int64(unsafe.Offsetof(ringControl{}.size)),
	"NOTIFIER_RING_OFFSET_MAX":        int64(unsafe.Offsetof(ringControl{}.max)),
	"NOTIFIER_RING_OFFSET_NOTIFIER":   int64(unsafe.Offsetof(ringControl{}.notifierLow)),
	"NOTIFIER_RING_OFFSET_DATA":       int64(unsafe.Offsetof(ringControl{}.data)),
	"NOTIFIER_RING_OFFSET_PID":        int64(unsafe.Offsetof(ringControl{}.pid)),
	"NOTIFIER_RING_OFFSET_POSITION":   int64(unsafe.Offsetof(ringControl{}.position)),
	"NOTIFIER_RING_OFFSET_ENTERED":    int64(unsafe.Offsetof(ringControl{}.entered)),
	"NOTIFIER_RING_OFFSET_CONSUMER":   int64(unsafe.Offsetof(ringControl{}.consumer)),
	"NOTIFIER_RING_OFFSET_WANTED":     int64(unsafe.Offsetof(ringControl{}.wanted)),
	"NOTIFIER_RING_OFFSET_LOST":       int64(unsafe.Offsetof(ringControl{}.lost)),
	"NOTIFIER_RING_CONTROL_SIZE":      int64(ringControlSize),

	"NOTIFIER_RING_MIRRORED":      flagMirrored,
	"NOTIFIER_RING_SINGLE":        flagSingle,
	"NOTIFIER_RING_CLOSED_BIT":    int64(closedBit),
	"NOTIFIER_RING_POSITION_MASK": int64(positionMask),
	"NOTIFIER_RING_WANTED":        int64(wantedBit),
	"NOTIFIER_RING_HEAD_ONLY":     int64(headOnlyBit),

	"NOTIFIER_RING_HEADER_SIZE": headerSize,
	"NOTIFIER_RING_BUSY":        int64(stateBusy),
	"NOTIFIER_RING_READY":       int64(stateReady),
	"NOTIFIER_RING_DROPPED":     int64(stateDropped),
	"NOTIFIER_RING_STATE_MASK":  int64(stateMask),
	"NOTIFIER_RING_LENGTH_MASK": int64(lengthMask),
}

func TestRingLayoutInHeaderText(t *testing.T) {
	assert.Equal(t, ringHalf, golden.Values(golden.Constants(t, RingHeader)))
	assert.EqualValues(t, unsafe.Offsetof(ringControl{}.notifierLow)+4, unsafe.Offsetof(ringControl{}.notifierHigh))
}

// The table in the header's opening comment is what authors of other languages
// go by.
func TestRingLayoutInHeaderTable(t *testing.T) {
	_, control, _ := strings.Cut(RingHeader, "THE CONTROL BLOCK")
	control, _, _ = strings.Cut(control, "THE DATA")
	got, want := map[string]int64{}, map[string]int64{}
	for _, row := range regexp.MustCompile(`(?m)^ \* +(\d+)  (\w+) `).FindAllStringSubmatch(control, -1) {
		got["NOTIFIER_RING_OFFSET_"+strings.ToUpper(row[2])], _ = strconv.ParseInt(row[1], 10, 64)
	}
	for name, v := range ringHalf {
		if strings.HasPrefix(name, "NOTIFIER_RING_OFFSET_") {
			want[name] = v
		}
	}
	assert.Equal(t, want, got)
}

// The number stands where its readers look for it.
func TestRingABIInDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "c-abi.md"))
	require.NoError(t, err)
	assert.Contains(t, string(page), fmt.Sprintf("`NOTIFIER_RING_ABI` is %d.", ringABI))
	assert.Contains(t, golden.Changelog(t), fmt.Sprintf("ring ABI %d", ringABI))
}

func TestRingHeaderIsEmbedded(t *testing.T) {
	text, err := os.ReadFile("ring.h")
	require.NoError(t, err)
	assert.Equal(t, string(text), RingHeader)
}
