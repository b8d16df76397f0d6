package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wakechan/wakechan/internal/testenv"
)

// Both programs, with cgo and without, run to their end and print what they should.
func TestHello(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip("starts no processes")
	}
	if _, err := exec.LookPath("go"); err != nil {
		testenv.Missing(t, "go", err.Error())
	}
	for _, program := range []struct{ dir, last string }{
		{".", "woken: 3 of 3 events so far\n"},
		{"./callback", "woken: 3 of 3 events so far\n"},
		{"./records", "channel 0: level 0.0\nchannel 1: level 0.5\nchannel 2: level 1.0\n"},
	} {
		for _, cgo := range []string{"0", "1"} {
			t.Run(program.dir+" CGO_ENABLED="+cgo, func(t *testing.T) {
				testenv.Cheap(t, cgo)
				if cgo == "1" {
					needCC(t)
				}
				args := append([]string{"run"}, testenv.BuildFlags(cgo)...)
				out := testenv.Run(t, []string{"CGO_ENABLED=" + cgo}, "go", append(args, program.dir)...)
				if cgo == "1" || program.dir != "./callback" { // whose library is C
					assert.True(t, strings.HasSuffix(out, program.last), out)
				}
				assert.Equal(t, cgo == "0", strings.HasPrefix(out, "built without cgo: "), out)
			})
		}
	}
}

func needCC(t *testing.T) {
	cc := "gcc"
	if name := os.Getenv("CC"); name != "" {
		cc = strings.Fields(name)[0]
	}
	if _, err := exec.LookPath(cc); err != nil {
		testenv.Missing(t, "c", err.Error())
	}
}
