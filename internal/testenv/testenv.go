// Package testenv says what the machine that tests run on offers.
package testenv

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Missing ends a test that needs something this machine lacks: a compiler, a
// package, an emulator. It skips with the reason, or fails if the environment
// variable WAKECHAN_REQUIRE lists what (separated by commas): CI has them all,
// and a skip there would be a test that nobody runs.
func Missing(t testing.TB, what, why string) {
	t.Helper()
	for _, required := range strings.Split(os.Getenv("WAKECHAN_REQUIRE"), ",") {
		if required == what {
			t.Fatalf("%s is required here but missing: %s", what, why)
		}
	}
	t.Skipf("needs %s: %s", what, why)
}

// Patience is how long a test waits for something that must happen before it
// calls it lost. It is generous, and WAKECHAN_PATIENCE (a factor) makes it more
// so for emulators.
func Patience() time.Duration {
	d := 20 * time.Second
	if f, err := strconv.ParseFloat(os.Getenv("WAKECHAN_PATIENCE"), 64); err == nil && f > 0 {
		d = time.Duration(float64(d) * f)
	}
	return d
}

// Times is how often a stress test repeats something that it does n times when
// it has the time: fewer under -short, and under the race detector. WAKECHAN_TIMES
// (a factor) is for emulators and for long runs.
func Times(n int) int {
	f := 1.0
	if testing.Short() {
		f /= 10
	}
	if Race {
		f /= 5
	}
	if own, err := strconv.ParseFloat(os.Getenv("WAKECHAN_TIMES"), 64); err == nil && own > 0 {
		f *= own
	}
	return max(int(float64(n)*f), 1)
}
