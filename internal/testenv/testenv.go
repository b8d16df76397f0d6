// Package testenv says what the machine that tests run on offers.
package testenv

import (
	"iter"
	"os"
	"runtime"
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

// WeakEmulator tells whether the processor is emulated without its order of memory:
// qemu-aarch64 on x86 (seen with 7.2) lets a load-acquire overtake an older
// store-release, which arm64 forbids and Go's atomics count on. A wake-up that is
// lost by that comes with the poller's rounds.
func WeakEmulator() bool {
	return runtime.GOARCH == "arm64" && os.Getenv("WAKECHAN_EMULATOR") != ""
}

// Long tells whether the tests that take long are wanted: the gate sets WAKECHAN_LONG,
// and so may anybody who changes what they try. -short wins.
func Long() bool { return os.Getenv("WAKECHAN_LONG") != "" && !testing.Short() }

// Times is how often a stress test repeats something that it does n times when
// it has the time: fewer under -short, and under the race detector. WAKECHAN_TIMES
// (a factor) is for emulators and for long runs.
func Times(n int) int {
	f := factor()
	if Race {
		f /= 5
	}
	return max(int(float64(n)*f), 1)
}

// Repeats yields 0, 1, and so on: Times(n) of them, or fewer where each takes long,
// so that a slow machine makes a test weaker and not slower. It is at least 3
// repeats, and about 2 seconds at most, times what Times is multiplied by; half of that
// under the race detector, unless Long.
func Repeats(n int) iter.Seq[int] {
	n = max(Times(n), 3)
	longest := 2e9 * factor()
	if Race && !Long() {
		longest /= 2
	}
	end := time.Now().Add(time.Duration(longest))
	return func(yield func(int) bool) {
		for i := range n {
			if i >= 3 && time.Now().After(end) || !yield(i) {
				return
			}
		}
	}
}

func factor() float64 {
	f := 1.0
	switch {
	case testing.Short():
		f /= 10
	case !Long():
		f /= 4
	}
	if own, err := strconv.ParseFloat(os.Getenv("WAKECHAN_TIMES"), 64); err == nil && own > 0 {
		f *= own
	}
	return f
}
