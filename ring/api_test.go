package ring

// This file holds the exported API to testdata/api.golden, so that it changes only on
// purpose and with a word in CHANGELOG.md: see internal/golden.

import (
	"testing"

	"github.com/wakechan/wakechan/internal/golden"
)

func TestAPIStays(t *testing.T) {
	golden.Holds(t, "api.golden", golden.API(t, "."))
}
