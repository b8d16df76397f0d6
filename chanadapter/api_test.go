package chanadapter

// This file holds the exported API to testdata/api.golden, so that it changes only on
// purpose and with a word in CHANGELOG.md: see internal/golden.

import (
	"testing"

	"github.com/wakechan/wakechan/internal/golden"
)

func TestAPIStays(t *testing.T) {
	golden.Holds(t, "api.golden", golden.API(t, "."))
}

func TestClockString(t *testing.T) {
	for clock, name := range map[Clock]string{Realtime: "realtime", Boottime: "boottime", 3: "Clock(3)"} {
		if clock.String() != name {
			t.Errorf("%d is %s", clock, clock)
		}
	}
}
