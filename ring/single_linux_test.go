//go:build amd64 || arm64

package ring

// This file holds what is different in a single producer's ring: its barrier, a
// producer that is stopped in reserve when the ring ends, and its control block, which
// is used once. That it is otherwise a ring like any other is what eachRing's tests
// show; that the barriers are needed, c_test.go.

import (
	"fmt"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
)

func singleRing(t testing.TB) *Ring {
	t.Helper()
	if !hasMembarrier() {
		t.Skip("no membarrier(2) here")
	}
	r, err := New(4096, WithSingleProducer())
	require.NoError(t, err)
	require.True(t, r.b.single)
	t.Cleanup(func() { _ = r.Close() })
	require.False(t, r.b.local(), "nobody knows it")
	handleOf(t, r)
	require.True(t, r.b.local())
	return r
}

// As long as nobody has its number no foreign producer can be anywhere, and there is
// nothing to pay for.
func TestSingleRingWithoutAHandle(t *testing.T) {
	if !hasMembarrier() {
		t.Skip("no membarrier(2) here")
	}
	onMembarrier(t, func() { t.Error("a barrier for nobody") })
	r, err := New(4096, WithSingleProducer())
	require.NoError(t, err)
	require.True(t, r.b.single)
	require.NoError(t, r.Push(record8))
	require.Len(t, recordsOf(r), 1)
	require.NoError(t, r.Close())
	require.Equal(t, blockGone, r.b.life)
}

// Whoever is in reserve when the ring ends may have passed all looks: until it is out,
// its room and the memory stay.
func TestSingleProducerIsStoppedInReserve(t *testing.T) {
	r := singleRing(t)
	require.NoError(t, r.Push([]byte("read")))
	require.Len(t, recordsOf(r), 1)
	atomic.StoreUint32(&r.b.c.entered, 1)
	require.NoError(t, r.Close())
	require.Equal(t, blockLimbo, r.b.life)

	// It goes on, as if nothing had happened: its exchange had read the position
	// before that was closed.
	at := r.b.start + spanOf(4)
	atomic.StoreUintptr(&r.b.c.position, at+spanOf(100))
	require.Zero(t, r.Lost())
	_, h := r.b.header(at)
	atomic.StoreUint32(tagOf(h), tagAt(at))
	atomic.StoreUint32(stateOf(h), stateBusy|100)
	atomic.StoreUint32(&r.b.c.entered, 0)
	require.Zero(t, r.Lost())
	require.Equal(t, blockLimbo, r.b.life, "the record is reserved")
	require.NotZero(t, Handle(r.b.handle()).Ring())

	commitOnly(h) // it had not seen the end
	require.EqualValues(t, 1, r.Lost())
	require.Equal(t, blockGone, r.b.life)
}

// onMembarrier has what happens just before each barrier.
func onMembarrier(t testing.TB, before func()) {
	usual := membarrier
	t.Cleanup(func() { membarrier = usual })
	membarrier = func() error {
		before()
		return usual()
	}
}

// Its exchange, which is not atomic for others, may undo that the position is closed.
func TestSingleProducerUndoesTheEnd(t *testing.T) {
	r := singleRing(t)
	h := handleOf(t, r)
	barriers := 0
	onMembarrier(t, func() {
		if barriers++; barriers == 1 {
			atomic.StoreUintptr(&r.b.c.position, r.b.start)
		}
		require.NotEqual(t, r.b.generation, atomic.LoadUint32(&r.b.c.generation), "who enters after this must see it")
	})
	r.b.shut()
	require.Equal(t, 2, barriers)
	require.Equal(t, r.b.start|closedBit, atomic.LoadUintptr(&r.b.c.position))
	require.False(t, r.b.unsure)
	if ringforeign.Available {
		require.Equal(t, ringforeign.Closed, ringforeign.PushNow(h, record8))
	}
	require.NoError(t, r.Close())
	require.Equal(t, blockGone, r.b.life)
}

// Who always undoes it is no producer. Close ends all the same, and the memory stays.
func TestSingleRingThatCannotBeShut(t *testing.T) {
	r := singleRing(t)
	require.NoError(t, r.Push(record8))
	end := r.position()
	onMembarrier(t, func() { atomic.StoreUintptr(&r.b.c.position, end) })
	require.NoError(t, r.Close())
	require.Equal(t, blockStuck, r.b.life)
	require.EqualValues(t, 1, r.Lost())
	require.ErrorIs(t, r.Push(nil), ErrClosed)
}

// What was committed before a producer died in reserve is counted.
func TestSingleProducerDiesInReserve(t *testing.T) {
	r := singleRing(t)
	for range 5 {
		require.NoError(t, r.Push(record8))
	}
	atomic.StoreUint32(&r.b.c.entered, 1)
	require.NoError(t, r.Close())
	require.EqualValues(t, 5, r.Lost())
	require.Equal(t, blockLimbo, r.b.life, "it may be about to reserve")
	atomic.StoreUint32(&r.b.c.entered, 0)
	require.EqualValues(t, 5, r.Lost())
	require.Equal(t, blockGone, r.b.life)
}

// The reader's barrier stands between saying that it sleeps and its last look.
func TestSingleReaderLooksAfterItsBarrier(t *testing.T) {
	r := singleRing(t)
	pushed := 0
	onMembarrier(t, func() {
		require.NotZero(t, atomic.LoadUint32(&r.b.c.wanted)&wantedBit)
		if pushed++; pushed < 10 {
			h, err := r.reserve(0, once)
			require.NoError(t, err)
			commitOnly(h) // it saw that nobody sleeps
		}
	})
	require.NoError(t, r.Push(nil))
	require.Len(t, recordsOf(r), 10)
	require.Equal(t, 10, pushed)
}

// A control block is used once. It reads as zeros afterwards: whoever is late finds the
// ring closed, and what it writes is nobody's.
func TestSingleControlBlocksAreUsedOnce(t *testing.T) {
	var others []*Ring // whose blocks wait for the next ring
	for range minIdleControls + 2 {
		r, err := New(4096)
		require.NoError(t, err)
		others = append(others, r)
	}
	for _, r := range others {
		require.NoError(t, r.Close())
	}
	seen := map[*control]bool{}
	for range 3 * controlsAtOnce {
		r := singleRing(t)
		h := handleOf(t, r)
		require.EqualValues(t, generationStep, r.b.generation)
		require.False(t, seen[r.b.c])
		seen[r.b.c] = true
		for range 1000 {
			_ = r.Push(record8)
		}
		lost := r.Lost()
		require.NotZero(t, lost)
		require.Len(t, recordsOf(r), 4096/16)
		require.NoError(t, r.Close())
		require.Equal(t, blockGone, r.b.life)
		require.Zero(t, *r.b.c)
		require.Equal(t, lost, r.Lost())
		require.Nil(t, Handle(h).Ring())
		require.Zero(t, r.Len())
		require.ErrorIs(t, r.Push(record8), ErrClosed)
		if ringforeign.Available {
			require.Equal(t, ringforeign.Closed, ringforeign.PushNow(h, record8))
			_, code := ringforeign.ReserveNow(h, 8)
			require.Equal(t, ringforeign.Closed, code)
		}
		atomic.StoreUint32(&r.b.c.entered, 1)
		require.Equal(t, lost, r.Lost())
	}
	for _, idle := range pool.idle {
		require.False(t, seen[idle.c])
	}
}

// Where the kernel refuses membarrier(2) it is a ring like any other.
func TestSingleRingWithoutMembarrier(t *testing.T) {
	if !testenv.Child(t) {
		return
	}
	testenv.Refuse(t, unix.SYS_MEMBARRIER)
	r, err := New(4096, WithSingleProducer())
	require.NoError(t, err)
	require.False(t, r.b.single)
	require.NoError(t, r.Push(record8))
	require.Equal(t, [][]byte{record8}, recordsOf(r))
	require.NoError(t, r.Close())
	require.Equal(t, blockGone, r.b.life)
}

// A barrier that fails ends the ring with an error, or keeps its memory if it ends
// already.
func TestEachMembarrierFails(t *testing.T) {
	if !hasMembarrier() {
		t.Skip("no membarrier(2) here")
	}
	testenv.FailCalls(t, func(c *testenv.Calls) {
		var has bool
		try := func() { has = tryMembarrier() }
		for _, tried := range []struct {
			n     int
			errno unix.Errno
			has   bool
		}{
			{1, unix.EPERM, true}, // a command that does not exist
			{2, unix.ENOSYS, false},
			{2, unix.EPERM, true}, // not registered, it says; then it is
			{3, unix.EPERM, true}, // there is no third one
		} {
			call := c.Fail(tried.n, tried.errno, try)
			require.Equal(t, tried.n < 3, call == unix.SYS_MEMBARRIER)
			require.Equal(t, tried.has, has, "call %d, %v", tried.n, tried.errno)
		}
		require.Equal(t, unix.SYS_MEMBARRIER, c.FailIf(1, unix.SYS_MEMBARRIER, 0, try), "it says yes to everything")
		require.False(t, has)
		require.True(t, hasMembarrier())

		r := singleRing(t)
		var records [][]byte
		read := func() { records = recordsOf(r) }
		require.NoError(t, r.Push(record8))
		require.Equal(t, unix.SYS_MEMBARRIER, c.FailIf(1, unix.SYS_MEMBARRIER, unix.EPERM, read))
		require.Equal(t, [][]byte{record8}, records)
		require.NoError(t, r.Err(), "as after a checkpoint was restored")

		require.NoError(t, r.Push(record8))
		require.Equal(t, unix.SYS_MEMBARRIER, c.FailIf(1, unix.SYS_MEMBARRIER, unix.ENOMEM, read))
		require.Equal(t, [][]byte{record8}, records)
		require.ErrorIs(t, r.Err(), unix.ENOMEM)
		require.ErrorContains(t, r.Err(), "membarrier")
		<-r.Done()
		require.Equal(t, r.Err(), r.Push(record8))
		require.Equal(t, blockStuck, r.b.life, "after a fault the memory stays")

		r = singleRing(t)
		require.NoError(t, r.Push(record8))
		require.Equal(t, unix.SYS_MEMBARRIER, c.FailIf(1, unix.SYS_MEMBARRIER, unix.ENOMEM, func() { require.NoError(t, r.Close()) }))
		require.ErrorIs(t, r.Err(), ErrClosed)
		require.Equal(t, blockStuck, r.b.life)
		require.ErrorIs(t, r.Push(record8), ErrClosed)
	})
}

// A control block is given back from locked memory too.
func TestSingleControlBlockIsLocked(t *testing.T) {
	r := singleRing(t)
	if r.b.pid != 0 {
		t.Skip("an emulator that takes no advice")
	}
	page := unsafe.Slice((*byte)(unsafe.Pointer(r.b.c)), unix.Getpagesize())
	if err := unix.Mlock(page); err != nil {
		t.Skip(err)
	}
	defer func() { _ = unix.Munlock(page) }()
	require.NoError(t, r.Close())
	if *r.b.c != (control{}) {
		require.ErrorIs(t, unix.Madvise(page, unix.MADV_DONTNEED_LOCKED), unix.EINVAL, "a kernel that knows it")
	}
	require.ErrorIs(t, r.Push(nil), ErrClosed)
}

// Each call of making one fails in turn.
func TestEachCallOfASingleRingFails(t *testing.T) {
	if !hasMembarrier() {
		t.Skip("no membarrier(2) here")
	}
	testenv.FailCalls(t, func(c *testenv.Calls) {
		require.True(t, hasMembarrier())
		var failed []int
		var copied []uint32
		for n := 1; ; n++ {
			freshControls = nil
			var call int
			var err error
			var r *Ring
			step := func() {
				freshControls = nil
				call = c.Fail(n, unix.EPERM, func() { r, err = New(4096, withMemory(privateMemory{}), WithSingleProducer()) })
			}
			if step(); err != nil {
				refused(t, err, call)
				failed = append(failed, call)
				testenv.LeavesNothing(t, fmt.Sprint("call ", n), step)
				continue
			}
			require.NoError(t, r.Push(record8))
			require.Len(t, recordsOf(r), 1)
			require.NoError(t, r.Close())
			if call < 0 {
				break
			}
			require.Equal(t, unix.SYS_MADVISE, call)
			copied = append(copied, r.b.pid)
		}
		require.Equal(t, []int{unix.SYS_MMAP, unix.SYS_MMAP}, failed)
		require.Equal(t, []uint32{0, uint32(unix.Getpid()), 0}, copied, "the one that asks for zeros, and no other")
	})
}

// The word that says so is where the header says, and a handler leaves it alone: also
// that of Go's own half, which does not use it.
func TestSingleProducerEnters(t *testing.T) {
	needThreads(t)
	r := singleRing(t)
	h := handleOf(t, r)
	for _, inside := range []uint32{0, 1} {
		atomic.StoreUint32(&r.b.c.entered, inside)
		require.GreaterOrEqual(t, ringforeign.PushNow(h, record8), 0)
		require.NoError(t, r.Push(record8))
		require.Equal(t, ringforeign.TooLarge, ringforeign.PushNow(h, make([]byte, 4096)))
		require.Equal(t, inside, atomic.LoadUint32(&r.b.c.entered))
	}
	require.EqualValues(t, 136, unsafe.Offsetof(r.b.c.entered))
	atomic.StoreUint32(&r.b.c.entered, 0)
	require.NoError(t, r.Close())
	require.Equal(t, ringforeign.Closed, ringforeign.PushNow(h, record8))
}
