package ring

// This file compares the layout of an Out's memory in its two halves, as abi_test.go
// does for a Ring's.

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/wakechan/wakechan/internal/golden"
)

var outHalf = map[string]int64{
	"NOTIFIER_OUT_ABI":   outABI,
	"NOTIFIER_OUT_MAGIC": outMagic,

	"NOTIFIER_OUT_OFFSET_MAGIC":      int64(unsafe.Offsetof(outControl{}.magic)),
	"NOTIFIER_OUT_OFFSET_ABI":        int64(unsafe.Offsetof(outControl{}.abi)),
	"NOTIFIER_OUT_OFFSET_GENERATION": int64(unsafe.Offsetof(outControl{}.generation)),
	"NOTIFIER_OUT_OFFSET_SIZE":       int64(unsafe.Offsetof(outControl{}.size)),
	"NOTIFIER_OUT_OFFSET_MAX":        int64(unsafe.Offsetof(outControl{}.max)),
	"NOTIFIER_OUT_OFFSET_DATA":       int64(unsafe.Offsetof(outControl{}.data)),
	"NOTIFIER_OUT_OFFSET_PID":        int64(unsafe.Offsetof(outControl{}.pid)),
	"NOTIFIER_OUT_OFFSET_POSITION":   int64(unsafe.Offsetof(outControl{}.position)),
	"NOTIFIER_OUT_OFFSET_CONSUMER":   int64(unsafe.Offsetof(outControl{}.consumer)),
	"NOTIFIER_OUT_OFFSET_HELD":       int64(unsafe.Offsetof(outControl{}.held)),
	"NOTIFIER_OUT_OFFSET_INSIDE":     int64(unsafe.Offsetof(outControl{}.inside)),
	"NOTIFIER_OUT_CONTROL_SIZE":      int64(outControlSize),

	"NOTIFIER_OUT_HEADER_SIZE":   headerSize,
	"NOTIFIER_OUT_PADDING":       outPadding,
	"NOTIFIER_OUT_CLOSED_BIT":    int64(closedBit),
	"NOTIFIER_OUT_POSITION_MASK": int64(positionMask),
}

// Tests of all that ring.h has look there.
func init() { maps.Copy(ringHalf, outHalf) }

func TestOutLayoutInHeaderTable(t *testing.T) {
	_, table, _ := strings.Cut(Header(), "AN OUT'S CONTROL BLOCK")
	table, _, _ = strings.Cut(table, "AN OUT'S DATA")
	golden.Table(t, table, "NOTIFIER_OUT_OFFSET_", outHalf)
	assert.Contains(t, golden.Changelog(t), "Out ABI "+strconv.Itoa(outABI))
}
