//go:build gc && ((linux && (amd64 || arm64)) || (darwin && amd64) || (windows && amd64))

package ccall

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

// A call that went well says so, and each register that is changed is noticed.
func TestCall(t *testing.T) {
	assert.EqualValues(t, 654321, Call(sumEntry(), 1, 20, 300, 4000, 50000, 600000))
	for i, name := range names {
		if runtime.GOOS != "windows" && runtime.GOARCH == "amd64" && (name == "SI" || name == "DI" || strings.HasPrefix(name, "X")) {
			continue
		}
		if name == "R28" { // a signal would find no g
			continue
		}
		require.PanicsWithValue(t, "ccall: the function changed "+name, func() { Call(changesEntry(), uint64(i)) })
	}
}
