package notifier

// This file holds the tests of what only Windows does: its completion port, its
// memory and its clock. What every system does is tested once, for all of them.

import (
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"

	"github.com/wakechan/wakechan/internal/clock"
	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

func newPort(t *testing.T) *iocp {
	t.Helper()
	bell, err := openIOCP()
	require.NoError(t, err)
	t.Cleanup(bell.discard)
	return bell.(*iocp)
}

// packets empties the port and says how many packets were in it.
func packets(t *testing.T, b *iocp) (total uint32) {
	t.Helper()
	for {
		n, err := b.take(0)
		require.NoError(t, err)
		if n == 0 {
			return total
		}
		total += n
	}
}

// Signals that nobody sleeps for must not pile up in the kernel's memory while the
// poller is too busy to sleep.
func TestIOCPTakesStalePackets(t *testing.T) {
	b := newPort(t)
	signal := func(n int) {
		for range n {
			require.NoError(t, b.signal())
		}
	}
	signal(3*batch + 1)
	require.NoError(t, b.wait(func() bool { return true }, time.Hour))
	require.Zero(t, packets(t, b), "after a look that found something at once")

	signal(batch)
	looks := 0
	require.NoError(t, b.wait(func() bool { looks++; return looks == 2 }, time.Hour))
	require.Zero(t, packets(t, b), "after a sleep that they ended")
}

// The number of a closed handle is soon another's: foreign code must not be left
// posting to it.
func TestIOCPCheckSeesAnotherObject(t *testing.T) {
	b := newPort(t)
	require.NoError(t, b.check())
	real := b.port
	defer func() { b.port = real }()

	other, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 0)
	require.NoError(t, err)
	b.port = other
	require.ErrorIs(t, b.check(), windows.ERROR_INVALID_HANDLE, "another completion port")
	require.NoError(t, windows.CloseHandle(other))
	require.ErrorIs(t, b.check(), windows.ERROR_INVALID_HANDLE, "a closed handle")
	require.ErrorIs(t, b.signal(), windows.ERROR_INVALID_HANDLE)
}

// The number of the handle that is waited on may be another's as well: nothing is taken
// from there.
func TestIOCPTakesNothingOfAnothers(t *testing.T) {
	b := newPort(t)
	twin := b.twin
	defer func() { b.twin = twin }()
	other, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 0)
	require.NoError(t, err)
	defer windows.CloseHandle(other)
	require.NoError(t, windows.PostQueuedCompletionStatus(other, 5, 6, nil))
	b.twin = other
	for _, ready := range []bool{true, false} {
		require.ErrorIs(t, b.wait(func() bool { return ready }, 0), windows.ERROR_INVALID_HANDLE)
	}
	var bytes uint32
	var key uintptr
	var overlapped *windows.Overlapped
	require.NoError(t, windows.GetQueuedCompletionStatus(other, &bytes, &key, &overlapped, 0), "it was taken")
	require.EqualValues(t, 6, key)
}

// Windows wakes nobody when a handle is closed that somebody waits on.
func TestIOCPClosedBehindItsBack(t *testing.T) {
	p, err := NewPoller()
	require.NoError(t, err)
	defer p.Close()
	n, err := p.New()
	require.NoError(t, err)
	h, err := n.Handle()
	require.NoError(t, err)
	require.NoError(t, windows.CloseHandle(p.set.bell.(*iocp).port))
	select {
	case <-n.Done():
		require.ErrorIs(t, n.Err(), windows.ERROR_INVALID_HANDLE)
		require.ErrorIs(t, h.Notify(), ErrClosed)
	case <-time.After(testenv.Patience()):
		t.Fatal("nobody noticed")
	}
}

// A post that fails is reported to the C thread that made it, and the poller stays
// marked as asleep: the next call posts again, though its bit is set already.
func TestForeignPostFails(t *testing.T) {
	if !foreign.Available {
		testenv.Missing(t, "cgo", "built without")
	}
	p := newPoller(t)
	n, err := p.New()
	require.NoError(t, err)
	defer n.Close()
	h := uint64(handleOf(t, n))
	settle(t, p)
	parked(t)

	port := atomic.SwapUint32(&p.set.block.descriptor, 0x7ffffffc) // no handle
	for range 3 {
		r := foreign.OnThread(h, 1)
		require.Equal(t, uint64(1), r.Failed)
		require.Equal(t, syscall.Errno(9), r.Err, "EBADF as Microsoft's C library has it")
	}
	require.Equal(t, uint32(1), atomic.LoadUint32(&p.set.asleep)&1)
	require.Empty(t, n.C())

	atomic.StoreUint32(&p.set.block.descriptor, port)
	r := foreign.OnThread(h, 1)
	require.Equal(t, uint64(1), r.Coalesced)
	require.Zero(t, r.Changed)
	receive(t, n)
}

var getHandleInformation = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetHandleInformation")

func TestIOCPHandleIsNotInherited(t *testing.T) {
	b := newPort(t)
	for _, h := range []windows.Handle{b.port, b.twin} {
		var flags uint32
		ok, _, err := getHandleInformation.Call(uintptr(h), uintptr(unsafe.Pointer(&flags)))
		require.NotZero(t, ok, err)
		require.Zero(t, flags&windows.HANDLE_FLAG_INHERIT)
		require.Equal(t, h, windows.Handle(int32(uint32(h))), "the header widens 32 bits with their sign")
	}
}

// A handle may have any index: all of the block can be read from the start, and
// reads as zeros.
func TestBlockIsCommitted(t *testing.T) {
	b, wiped, err := mapBlock()
	require.NoError(t, err)
	defer unmapBlock(b)
	require.True(t, wiped)
	require.Zero(t, uintptr(unsafe.Pointer(b))%(1<<blockShift))
	var info windows.MemoryBasicInformation
	require.NoError(t, windows.VirtualQuery(uintptr(unsafe.Pointer(b)), &info, unsafe.Sizeof(info)))
	require.EqualValues(t, windows.MEM_COMMIT, info.State)
	require.EqualValues(t, windows.PAGE_READWRITE, info.Protect)
	require.GreaterOrEqual(t, info.RegionSize, blockSize)
	require.Zero(t, b.generation[maxHandles-1])
}

// Address space is given back whole when a poller cannot be made. In between
// another thread may have taken what was free: not every time.
func TestBlockIsUnmapped(t *testing.T) {
	for range 20 {
		if blockIsUnmapped(t) {
			return
		}
	}
	t.Fatal("address space stays reserved")
}

func blockIsUnmapped(t *testing.T) bool {
	t.Helper()
	b, _, err := mapBlock()
	require.NoError(t, err)
	address := uintptr(unsafe.Pointer(b))
	var info windows.MemoryBasicInformation
	require.NoError(t, windows.VirtualQuery(address, &info, unsafe.Sizeof(info)))
	reserved := info.AllocationBase
	unmapBlock(b)
	for _, p := range []uintptr{reserved, address} {
		require.NoError(t, windows.VirtualQuery(p, &info, unsafe.Sizeof(info)))
		if info.AllocationBase == reserved && info.State != 0x10000 /* MEM_FREE */ {
			return false
		}
	}
	return true
}

// The lingering is counted in microseconds. Go's monotonic clock steps by up to
// 15.6 ms here.
func TestClockIsFine(t *testing.T) {
	var steps []time.Duration
	for last := clock.Now(); len(steps) < 1001; {
		if t := clock.Now(); t != last {
			steps = append(steps, t-last)
			last = t
		}
	}
	slices.Sort(steps)
	require.Positive(t, steps[0], "it went backwards")
	require.Less(t, steps[len(steps)/2], firstWindow/2)
}
