//go:build race

package testenv

import (
	"os"
	"syscall"
)

// Race tells whether the race detector is on.
const Race = true

// A program that is built with -race sleeps for a second when it ends, in case one of
// its threads is about to race. That is a second for each package and for each child
// process of a test, most of the time that the tests take. What the program starts with
// decides, so it starts again. GORACE, if the user sets it, stays as it is.
func init() {
	if _, set := os.LookupEnv("GORACE"); set {
		return
	}
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	if self, err := os.Executable(); err == nil {
		_ = syscall.Exec(self, os.Args, os.Environ()) // where that fails, the children are quicker
	}
}
