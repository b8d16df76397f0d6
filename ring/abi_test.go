package ring

// This file compares the layout of a ring's memory in its two halves, the text of
// ring.h and the Go one. What a C compiler makes of the header is c_test.go's
// business.

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/golden"
	"github.com/wakechan/wakechan/internal/ringforeign"
)

// ringHalf is what every macro of ring.h with a value must be.
var ringHalf = map[string]int64{
	"NOTIFIER_RING_ABI":  abiNumber,
	"NOTIFIER_FULL":      ringforeign.Full,
	"NOTIFIER_TOO_LARGE": ringforeign.TooLarge,
	"NOTIFIER_TIMEOUT":   ringforeign.Timeout,

	"NOTIFIER_RING_MAGIC":           magic,
	"NOTIFIER_RING_BASE_SHIFT":      baseShift,
	"NOTIFIER_RING_GENERATION_BITS": generationBits,

	"NOTIFIER_RING_OFFSET_MAGIC":      int64(unsafe.Offsetof(control{}.magic)),
	"NOTIFIER_RING_OFFSET_ABI":        int64(unsafe.Offsetof(control{}.abi)),
	"NOTIFIER_RING_OFFSET_GENERATION": int64(unsafe.Offsetof(control{}.generation)),
	"NOTIFIER_RING_OFFSET_FLAGS":      int64(unsafe.Offsetof(control{}.flags)),
	"NOTIFIER_RING_OFFSET_SIZE":       int64(unsafe.Offsetof(control{}.size)),
	"NOTIFIER_RING_OFFSET_MAX":        int64(unsafe.Offsetof(control{}.max)),
	"NOTIFIER_RING_OFFSET_NOTIFIER":   int64(unsafe.Offsetof(control{}.notifierLow)),
	"NOTIFIER_RING_OFFSET_DATA":       int64(unsafe.Offsetof(control{}.data)),
	"NOTIFIER_RING_OFFSET_PID":        int64(unsafe.Offsetof(control{}.pid)),
	"NOTIFIER_RING_OFFSET_POSITION":   int64(unsafe.Offsetof(control{}.position)),
	"NOTIFIER_RING_OFFSET_ENTERED":    int64(unsafe.Offsetof(control{}.entered)),
	"NOTIFIER_RING_OFFSET_CONSUMER":   int64(unsafe.Offsetof(control{}.consumer)),
	"NOTIFIER_RING_OFFSET_WANTED":     int64(unsafe.Offsetof(control{}.wanted)),
	"NOTIFIER_RING_OFFSET_WAITING":    int64(unsafe.Offsetof(control{}.waiting)),
	"NOTIFIER_RING_OFFSET_GIVEN":      int64(unsafe.Offsetof(control{}.given)),
	"NOTIFIER_RING_OFFSET_QUEUE":      int64(unsafe.Offsetof(control{}.queue)),
	"NOTIFIER_RING_OFFSET_TURN":       int64(unsafe.Offsetof(control{}.turn)),
	"NOTIFIER_RING_OFFSET_OWNER":      int64(unsafe.Offsetof(control{}.owner)),
	"NOTIFIER_RING_OFFSET_LOST":       int64(unsafe.Offsetof(control{}.lost)),
	"NOTIFIER_RING_CONTROL_SIZE":      int64(controlSize),

	"NOTIFIER_RING_MIRRORED":      flagMirrored,
	"NOTIFIER_RING_SINGLE":        flagSingle,
	"NOTIFIER_RING_CLOSED_BIT":    int64(closedBit),
	"NOTIFIER_RING_POSITION_MASK": int64(positionMask),
	"NOTIFIER_RING_WANTED":        int64(wantedBit),
	"NOTIFIER_RING_HEAD_ONLY":     int64(headOnlyBit),
	"NOTIFIER_RING_ASKED":         int64(askedBit),
	"NOTIFIER_RING_KEPT_MASK":     int64(keptMask),

	"NOTIFIER_RING_HEADER_SIZE": headerSize,
	"NOTIFIER_RING_BUSY":        int64(stateBusy),
	"NOTIFIER_RING_READY":       int64(stateReady),
	"NOTIFIER_RING_DROPPED":     int64(stateDropped),
	"NOTIFIER_RING_STATE_MASK":  int64(stateMask),
	"NOTIFIER_RING_LENGTH_MASK": int64(lengthMask),
}

func TestRingLayoutInHeaderText(t *testing.T) {
	assert.Equal(t, ringHalf, golden.Values(golden.Constants(t, Header())))
	assert.EqualValues(t, unsafe.Offsetof(control{}.notifierLow)+4, unsafe.Offsetof(control{}.notifierHigh))
}

// The ABI may be added to; what it has stays as it is as long as its number does.
func TestABIStays(t *testing.T) {
	var list strings.Builder
	for _, c := range golden.Constants(t, Header()) {
		fmt.Fprintf(&list, "%s %d\n", c.Name, c.Value)
	}
	for _, line := range regexp.MustCompile(`(?m)^typedef .*notifier_ring;|^\w+ int (notifier_ring_[a-z]+\(.*\)) \{`).FindAllString(Header(), -1) {
		if !strings.Contains(line, "_(") {
			fmt.Fprintln(&list, line)
		}
	}
	require.NoError(t, golden.Kept(golden.Listing(t, "abi.golden"), list.String(), fmt.Sprintf("NOTIFIER_RING_ABI %d", abiNumber)),
		"the number of the ABI must change, and CHANGELOG.md say so")
	golden.Holds(t, "abi.golden", list.String())
}

func TestRingLayoutInHeaderTable(t *testing.T) {
	_, table, _ := strings.Cut(Header(), "THE CONTROL BLOCK")
	table, _, _ = strings.Cut(table, "THE DATA")
	golden.Table(t, table, "NOTIFIER_RING_OFFSET_", ringHalf)
}

// The number stands where its readers look for it.
func TestRingABIInDocumentation(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "c-abi.md"))
	require.NoError(t, err)
	assert.Regexp(t, fmt.Sprintf("`NOTIFIER_RING_ABI` is %d\\b", abiNumber), string(page))
	assert.Contains(t, golden.Changelog(t), fmt.Sprintf("ring ABI %d", abiNumber))
}

func TestRingHeaderIsEmbedded(t *testing.T) {
	text, err := os.ReadFile("ring.h")
	require.NoError(t, err)
	assert.Equal(t, string(text), Header())
}
