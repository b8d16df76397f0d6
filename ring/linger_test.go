package ring

// This file tests when a reader lingers.

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/testenv"
)

// However long its window is, a reader that shares its processor with a goroutine that
// computes goes to sleep, and that counts as nobody's fault.
func TestLingeringMakesRoomForOthers(t *testing.T) {
	if cannotLinger() {
		t.Skip("no reader lingers here")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, err := New(4096, WithLinger(time.Hour))
	require.NoError(t, err)
	defer r.Close()
	defer testenv.Compute()()
	for range 2 { // the second time it does not begin
		r.window = time.Hour
		r.linger()
		assert.Zero(t, r.window)
		assert.Zero(t, r.penalty)
	}
}
