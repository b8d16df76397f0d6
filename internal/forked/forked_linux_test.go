package forked

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/testenv"
)

var both = map[string]func(unsafe.Pointer, uintptr) error{"Zero": Zero, "Drop": Drop}

func page(t *testing.T) (p unsafe.Pointer, size uintptr) {
	t.Helper()
	size = uintptr(unix.Getpagesize())
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.MunmapPtr(p, size) })
	return p, size
}

// An emulator that says yes to advice that does not exist is not believed.
func TestAdviceIsNotTaken(t *testing.T) {
	testenv.FailCalls(t, func(c *testenv.Calls) {
		p, size := page(t)
		for name, do := range both {
			require.Equal(t, unix.SYS_MADVISE, c.FailIf(1, unix.SYS_MADVISE, 0, func() {
				require.ErrorIs(t, do(p, size), errors.ErrUnsupported, name)
			}))
		}
	})
}

func TestAdviceFails(t *testing.T) {
	p, size := page(t)
	if errors.Is(Zero(p, size), errors.ErrUnsupported) {
		t.Skip("an emulator that takes no advice")
	}
	for name, do := range both {
		require.NoError(t, do(p, size), name)
		err := do(unsafe.Add(p, 1), size)
		require.ErrorIs(t, err, unix.EINVAL, name)
		require.ErrorContains(t, err, "madvise")
	}
}
