//go:build linux || darwin

package main

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Each callback is seen, of every library that is here. The gate has them all:
// WAKECHAN_REQUIRE=libraries.
func TestLibraries(t *testing.T) { eachLibrary(t) }

func eachLibrary(t *testing.T) {
	for _, e := range examples {
		t.Run(e.library, func(t *testing.T) {
			woken, err := e.run(e.callbacks)
			if errors.Is(err, errMissing) {
				if strings.Contains(os.Getenv("WAKECHAN_REQUIRE"), "libraries") {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if woken != e.callbacks {
				t.Errorf("%d callbacks, %d seen", e.callbacks, woken)
			}
		})
	}
}
