//go:build unix

package address

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	_ "github.com/wakechan/wakechan/internal/testenv" // which ends soon under the race detector
)

func TestMap(t *testing.T) {
	for _, align := range []uintptr{1 << 12, 8 << 20} {
		p, err := Map(1<<16, align)
		require.NoError(t, err)
		assert.Zero(t, uintptr(p)%align)
		assert.True(t, Fits(p))
		b := unsafe.Slice((*byte)(p), 1<<16)
		assert.Zero(t, b[0])
		b[1<<16-1] = 1
		require.NoError(t, unix.MunmapPtr(p, 1<<16))
	}
}

// Where the system gives memory by itself it does not fit: another place is found, each
// time another one. If none fits, that is said, and nothing stays mapped.
func TestMapElsewhere(t *testing.T) {
	if wide == 0 {
		t.Skip("all memory fits where a pointer has 32 bits")
	}
	defer func() { fits = Fits }()
	hinted := func(p unsafe.Pointer) bool {
		return uint64(uintptr(p)) >= Least<<14 && uint64(uintptr(p)) < Least<<14+1<<40
	}
	fits = hinted
	var all []unsafe.Pointer
	for range 20 {
		p, err := Map(1<<16, 8<<20)
		require.NoError(t, err)
		require.True(t, hinted(p), "%p", p)
		require.Zero(t, uintptr(p)%(8<<20))
		require.NotContains(t, all, p)
		all = append(all, p)
		*(*byte)(p) = 1
	}
	for _, p := range all {
		require.NoError(t, unix.MunmapPtr(p, 1<<16))
	}
	var seen []unsafe.Pointer
	fits = func(p unsafe.Pointer) bool {
		seen = append(seen, p)
		return false
	}
	_, err := Map(1<<16, 8<<20)
	require.ErrorContains(t, err, "does not fit a handle")
	require.Greater(t, len(seen), mostTries)
}
