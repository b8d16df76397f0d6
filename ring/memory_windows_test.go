package ring

// This file holds what happens when Windows has no memory for a ring.

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// Without memory for its data, or for its control block, there is no ring, and nothing
// is left of it.
func TestEachCallOfARingsMemoryFails(t *testing.T) {
	alloc, idle := virtualAlloc, pool.idle
	pool.idle = nil // so that there is one to make
	defer func() {
		virtualAlloc = alloc
		pool.idle = append(pool.idle, idle...)
	}()
	newRing := func(n int) (r *Ring, reserved []uintptr, err error) {
		virtualAlloc = func(address, size uintptr, kind, protect uint32) (uintptr, error) {
			if n--; n == 0 {
				return 0, windows.ERROR_NOT_ENOUGH_MEMORY
			}
			p, err := alloc(address, size, kind, protect)
			if address != 0 { // another try for memory at an address that fits: see address.Map
				n++
			}
			if p != 0 {
				reserved = append(reserved, p)
			}
			return p, err
		}
		r, err = New(1 << 16)
		return r, reserved, err
	}
	left := func(reserved []uintptr) bool {
		for _, p := range reserved {
			var info windows.MemoryBasicInformation
			require.NoError(t, windows.VirtualQuery(p, &info, unsafe.Sizeof(info)))
			if info.State != 0x10000 /* MEM_FREE */ {
				return true
			}
		}
		return false
	}
	for n, says := range []string{"no memory for a ring of 65536 bytes", "no memory for a ring: "} {
		for tries := 0; ; tries++ {
			r, reserved, err := newRing(n + 1)
			require.Nil(t, r)
			require.ErrorIs(t, err, windows.ERROR_NOT_ENOUGH_MEMORY)
			require.ErrorContains(t, err, "VirtualAlloc")
			require.ErrorContains(t, err, says)
			require.GreaterOrEqual(t, len(reserved), n)
			if !left(reserved) {
				break
			}
			// Another thread may have taken what was free again: not every time.
			require.Less(t, tries, 20, "something was left behind")
		}
	}
	r, reserved, err := newRing(3)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(reserved), 2)
	require.True(t, left(reserved), "what is in use is seen as such")
	require.NoError(t, r.Push([]byte("record")))
	require.Len(t, recordsOf(r), 1)
	require.NoError(t, r.Close())
}
