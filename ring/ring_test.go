package ring

// This file holds what a Ring does for goroutines alone, for each kind of memory
// that the system has: calls and their answers, order, full and empty, the end.
// Foreign threads are in foreign_test.go, scribbling and stalling in
// wreck_test.go, the C half by itself in c_test.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

// ringMaker makes rings, which are closed when the test ends.
type ringMaker func(t testing.TB, size int, opts ...Option) *Ring

func withMemory(m backing) Option { return func(o *options) { o.memory = m } }

// eachMemory runs a test for every kind of memory.
func eachMemory(t *testing.T, test func(t *testing.T, ring ringMaker)) {
	withEach(t, backings, test)
}

func withEach(t *testing.T, memories []backing, test func(t *testing.T, ring ringMaker)) {
	page := uintptr(os.Getpagesize())
	for _, m := range memories {
		p, mirrored, err := m.data(page)
		if err != nil {
			t.Logf("%T is not to be had here: %v", m, err)
			continue
		}
		m.free(p, page, mirrored)
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) {
			test(t, func(t testing.TB, size int, opts ...Option) *Ring {
				t.Helper()
				usual := []Option{withMemory(m)}
				if !bubble.In() {
					// Else a test that is stopped for half a second beside what it has reserved gets a token for that.
					usual = append(usual, WithStallTime(time.Hour))
				}
				r, err := New(size, append(usual, opts...)...)
				require.NoError(t, err)
				t.Cleanup(func() { _ = r.Close() })
				return r
			})
		})
	}
}

// eachRing runs a test for every kind of memory, and for rings of a single producer:
// the test has no more at a time.
func eachRing(t *testing.T, test func(t *testing.T, ring ringMaker)) {
	eachMemory(t, test)
	if !hasMembarrier() {
		t.Log("a single producer's ring is like any other here")
		return
	}
	t.Run("single producer", func(t *testing.T) {
		eachMemory(t, func(t *testing.T, ring ringMaker) {
			test(t, func(t testing.TB, size int, opts ...Option) *Ring {
				t.Helper()
				r := ring(t, size, append([]Option{WithSingleProducer()}, opts...)...)
				require.True(t, r.b.single)
				return r
			})
		})
	})
}

// recordsOf returns copies of what is there.
func recordsOf(r *Ring) (records [][]byte) {
	for rec := range r.Records() {
		records = append(records, bytes.Clone(rec))
	}
	return records
}

// numbered returns n bytes that no other record has.
func numbered(n, number int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(number*31 + i*7 + 1)
	}
	return b
}

func TestRingRecordsOfEverySize(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		require.Equal(t, r.Cap()/2-8, r.MaxRecord())
		for _, n := range []int{0, 1, 7, 8, 9, 15, 16, 17, 100, 1000, r.MaxRecord() - 1, r.MaxRecord()} {
			for number := range 5 {
				want := numbered(n, number)
				require.NoError(t, r.Push(want), "%d bytes", n)
				require.GreaterOrEqual(t, r.Len(), 8+(n+7)&^7, "%d bytes", n) // and what is left at the end
				got := recordsOf(r)
				require.Len(t, got, 1)
				require.True(t, bytes.Equal(want, got[0]), "%d bytes", n)
				require.Zero(t, r.Len())
			}
		}
		require.Zero(t, r.Lost())
		require.ErrorIs(t, r.Push(make([]byte, r.MaxRecord()+1)), ErrTooLarge)
		_, err := r.Reserve(-1)
		require.ErrorIs(t, err, ErrTooLarge)
		require.EqualValues(t, 2, r.Lost())
		require.Empty(t, recordsOf(r))
	})
}

// moveTo makes the next record of an empty ring lie at an offset.
func moveTo(t testing.TB, r *Ring, offset uintptr) {
	for {
		at := r.b.offset(r.position())
		way := (offset - at) & (r.b.size - 1)
		if way == 0 {
			return
		}
		rec, err := r.Reserve(int(min(way, r.b.max, r.b.size-at)) - headerSize)
		require.NoError(t, err)
		require.NoError(t, r.Discard(rec))
		require.Empty(t, recordsOf(r))
	}
}

func TestRingWrapsAtEveryOffset(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096, WithLinger(0))
		most := uintptr(r.MaxRecord())
		for offset := uintptr(0); offset < r.b.size; offset += 8 {
			if !testenv.Long() && offset%56 != 0 && offset+256 < r.b.size {
				continue
			}
			for _, n := range []uintptr{0, 1, 8, 100, most - 8, most} {
				moveTo(t, r, offset)
				want := numbered(int(n), int(offset))
				require.NoError(t, r.Push(want))
				got := recordsOf(r)
				require.Len(t, got, 1, "%d bytes at %d", n, offset)
				require.True(t, bytes.Equal(want, got[0]), "%d bytes at %d", n, offset)
				require.NoError(t, r.Push([]byte("behind")))
				require.Equal(t, [][]byte{[]byte("behind")}, recordsOf(r), "%d bytes at %d", n, offset)
			}
		}
		require.Zero(t, r.Lost())
	})
}

// The positions of a 32-bit system wrap round now and then.
func TestRingPositionsWrapRound(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		for i := range uintptr(4) {
			r := ring(t, 4096)
			b := r.b
			b.start = -(b.size / 2) - 8*i
			r.next, r.published = b.start, b.start
			b.c.position, b.c.consumer = b.start, b.start
			for number := range 100 {
				require.NoError(t, r.Push(numbered(100, number)))
				if number%3 == 0 {
					require.NoError(t, r.Push(numbered(900, number)))
				}
				got := recordsOf(r)
				require.NoError(t, r.Err())
				require.Equal(t, numbered(100, number), got[0])
			}
			require.Less(t, r.next, b.size*20)
			require.NoError(t, r.Close())
			require.Zero(t, r.Lost())
		}
	})
}

func TestRingFull(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for round := range 50 {
			n := 0
			for r.Push(numbered(24, n)) == nil {
				n++
			}
			require.InDelta(t, r.Cap()/32, n, 1)
			for range 10 {
				require.ErrorIs(t, r.Push(make([]byte, 24)), ErrFull)
			}
			require.EqualValues(t, 11*(round+1), r.Lost())
			got := recordsOf(r)
			require.Len(t, got, n)
			for i, rec := range got {
				require.Equal(t, numbered(24, i), rec, "nothing is overwritten")
			}
			require.Zero(t, r.Len())
			moveTo(t, r, uintptr(8*round))
		}
	})
}

// An empty ring takes the longest record wherever its position is.
func TestRingTakesTheLongestRecordWheneverEmpty(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for range 1000 {
			require.NoError(t, r.Push(make([]byte, r.MaxRecord())))
			require.Len(t, recordsOf(r), 1)
			require.NoError(t, r.Push(nil))
			require.Len(t, recordsOf(r), 1)
		}
	})
}

func TestRingTokens(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		none(t, r.C())
		for range 3 {
			for range 5 {
				require.NoError(t, r.Push([]byte("x")))
			}
			receive(t, r.C())
			none(t, r.C())
			require.NoError(t, r.Push([]byte("y")))
			none(t, r.C()) // the reader has not been back
			require.Len(t, recordsOf(r), 6)
			none(t, r.C())
		}
	})
}

func TestRingBreakLeavesTheRestAndAToken(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for i := range 5 {
			require.NoError(t, r.Push(numbered(24, i)))
		}
		receive(t, r.C())
		for i := range 4 {
			for rec := range r.Records() {
				require.Equal(t, numbered(24, i), rec)
				break
			}
			receive(t, r.C())
		}
		for range r.Records() {
			break // the last
		}
		none(t, r.C())
		require.NoError(t, r.Push(nil))
		receive(t, r.C())
	})
}

func TestRingRecordsPanics(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		require.NoError(t, r.Push([]byte("1")))
		require.NoError(t, r.Push([]byte("2")))
		receive(t, r.C())
		require.PanicsWithValue(t, "mine", func() {
			for range r.Records() {
				panic("mine")
			}
		})
		receive(t, r.C())
		require.Equal(t, [][]byte{[]byte("2")}, recordsOf(r), "the record that was handed out is gone")
	})
}

func TestRingHasOneReader(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		require.NoError(t, r.Push(nil))
		for range r.Records() {
			assert.PanicsWithValue(t, secondReader, func() { _, _ = r.ReadInto(nil) })
			assert.PanicsWithValue(t, secondReader, func() { _ = r.Wait(t.Context()) })
			assert.PanicsWithValue(t, secondReader, func() {
				for range r.Records() {
					t.Error("a record")
				}
			})
			// These are for everyone.
			assert.NoError(t, r.Push(nil))
			assert.NoError(t, r.Err())
			assert.Equal(t, 16, r.Len())
			assert.Zero(t, r.Lost())
			assert.Zero(t, r.Stalled())
			break
		}
		require.Len(t, recordsOf(r), 1)
	})
}

func TestRingReadInto(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		buf := make([]byte, 10)
		_, err := r.ReadInto(buf)
		require.ErrorIs(t, err, ErrEmpty)
		for i := range 200 {
			require.NoError(t, r.Push(numbered(i%11, i)))
			require.NoError(t, r.Push(nil))
			receive(t, r.C())
			n, err := r.ReadInto(buf)
			require.NoError(t, err)
			require.Equal(t, numbered(i%11, i), buf[:n])
			n, err = r.ReadInto(nil)
			require.NoError(t, err)
			require.Zero(t, n)
			_, err = r.ReadInto(buf)
			require.ErrorIs(t, err, ErrEmpty)
		}
		require.NoError(t, r.Push(numbered(11, 1)))
		for range 2 {
			n, err := r.ReadInto(buf)
			require.ErrorIs(t, err, io.ErrShortBuffer)
			require.Equal(t, 11, n)
		}
		require.Equal(t, [][]byte{numbered(11, 1)}, recordsOf(r), "it stayed")
		require.NoError(t, r.Close())
		_, err = r.ReadInto(buf)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

func TestRingReserve(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		first, err := r.Reserve(5)
		require.NoError(t, err)
		require.Equal(t, make([]byte, 5), first)
		require.Equal(t, 5, cap(first))
		second, err := r.Reserve(0)
		require.NoError(t, err)
		third, err := r.Reserve(3)
		require.NoError(t, err)

		copy(third, "3rd")
		require.NoError(t, r.Commit(third))
		require.NoError(t, r.Discard(second))
		require.Empty(t, recordsOf(r), "in the order of reservation")
		copy(first, "first")
		require.NoError(t, r.Commit(first))
		receive(t, r.C())
		require.Equal(t, [][]byte{[]byte("first"), []byte("3rd")}, recordsOf(r))

		require.ErrorIs(t, r.Commit(make([]byte, 8)), os.ErrInvalid, "not of this ring")
		rec := append(first, 1) // outgrew the ring: the checks of -race must see no pointer before its memory
		require.ErrorIs(t, r.Commit(rec), os.ErrInvalid)
		require.ErrorIs(t, r.Discard([]byte{}), os.ErrInvalid)
		var local [16]byte
		require.ErrorIs(t, r.Discard(local[:8]), os.ErrInvalid)
		require.ErrorIs(t, r.Commit(nil), os.ErrInvalid)
		again, err := r.Reserve(8)
		require.NoError(t, err)
		require.NoError(t, r.Commit(again))
		require.ErrorIs(t, r.Commit(again), os.ErrInvalid, "committed already")
		require.ErrorIs(t, r.Discard(again), os.ErrInvalid)
	})
}

func TestRingWait(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		mine := errors.New("mine")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(mine)
		require.ErrorIs(t, r.Wait(ctx), mine)
		require.NoError(t, r.Push(nil))
		require.NoError(t, r.Wait(ctx), "there is a record, whatever else is true")
		require.Len(t, recordsOf(r), 1)
		require.ErrorIs(t, r.Wait(ctx), mine)

		// What comes later is not waited for.
		for i := range 3 {
			require.NoError(t, r.Push(numbered(8, i)))
		}
		for i := range 3 {
			require.NoError(t, r.Wait(ctx))
			require.NoError(t, r.Push(nil))
			_, err := r.ReadInto(make([]byte, 8))
			require.NoError(t, err, i)
		}
		require.ErrorIs(t, r.Wait(ctx), mine)
		require.NoError(t, r.Wait(t.Context()))
		require.Len(t, recordsOf(r), 3)

		woken := make(chan error)
		go func() { woken <- r.Wait(patience(t)) }()
		require.NoError(t, r.Push(nil))
		require.NoError(t, <-woken)
		require.Len(t, recordsOf(r), 1)

		go func() { woken <- r.Wait(patience(t)) }()
		runtime.Gosched()
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-woken, os.ErrClosed)
		require.ErrorIs(t, r.Wait(t.Context()), os.ErrClosed)
	})
}

// A loop over Records ends although each step is followed by another record, and nothing
// is lost by that; it gives what was there at the start in any case.
func TestRingRecordsEnd(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		for _, size := range []int{1 << 12, 4 << 20} {
			r := ring(t, size, WithLinger(0))
			rec := make([]byte, 120)
			pushed, read := 0, 0
			push := func() {
				require.NoError(t, r.Push(numbered(120, pushed)))
				pushed++
			}
			for _, first := range []int{1, size / 2 / 128} {
				for range first {
					push()
				}
				before := read
				for rec := range r.Records() {
					require.Equal(t, numbered(120, read), rec)
					read++
					push()
				}
				require.GreaterOrEqual(t, read-before, first)
				require.LessOrEqual(t, (read-before)*128, max(first*128, min(r.Cap(), loopBytes))+r.Cap()/4)
				receive(t, r.C())
				for read < pushed {
					n, err := r.ReadInto(rec)
					require.NoError(t, err)
					require.Equal(t, numbered(120, read), rec[:n])
					read++
				}
			}
			require.Zero(t, r.Lost())
		}
	})
}

func TestRingSizes(t *testing.T) {
	for _, size := range []int{-1, 0, 1, 63, 65, 4095, 5000, MaxSize + 1, MaxSize + 4096} {
		r, err := New(size)
		assert.ErrorContains(t, err, "power of two", "%d", size)
		assert.Nil(t, r)
	}
	_, err := New(4096, WithStallTime(0))
	assert.ErrorContains(t, err, "stall time")
	for _, size := range []int{64, 4096, 1 << 20} {
		r, err := New(size)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, r.Cap(), size)
		assert.Zero(t, r.Cap()&(r.Cap()-1))
		require.NoError(t, r.Push(make([]byte, 20)))
		assert.Len(t, recordsOf(r), 1)
		require.NoError(t, r.Close())
	}
}

func TestRingNilAndZero(t *testing.T) {
	for name, r := range map[string]*Ring{"nil": nil, "zero": {}, "by a number": Handle(0).Ring(), "by another": Handle(12345).Ring()} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { r.C() })
			_, err := r.Handle()
			assert.ErrorIs(t, err, ErrClosed)
			assert.ErrorIs(t, r.Push(nil), ErrClosed)
			_, err = r.Reserve(1)
			assert.ErrorIs(t, err, ErrClosed)
			assert.ErrorIs(t, r.Commit(nil), ErrClosed)
			assert.ErrorIs(t, r.Discard(nil), ErrClosed)
			_, err = r.ReadInto(nil)
			assert.ErrorIs(t, err, ErrClosed)
			assert.ErrorIs(t, r.Wait(t.Context()), ErrClosed)
			assert.Empty(t, recordsOf(r))
			for range Values[uint64](r) {
				t.Error("a value")
			}
			_, open := <-Chan[uint64](t.Context(), r, 0)
			assert.False(t, open)
			assert.Zero(t, r.Len())
			assert.Zero(t, r.Cap())
			assert.Zero(t, r.MaxRecord())
			assert.Zero(t, r.Lost())
			assert.Zero(t, r.Stalled())
			<-r.Done()
			assert.ErrorIs(t, r.Err(), ErrClosed)
			assert.NoError(t, r.Close())
		})
	}
}

func TestRingClose(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for range 3 {
			require.NoError(t, r.Push([]byte("x")))
		}
		require.NoError(t, r.Err())
		select {
		case <-r.Done():
			t.Fatal("done")
		default:
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { assert.NoError(t, r.Close()) })
		}
		all.Wait()
		<-r.Done()
		require.ErrorIs(t, r.Err(), os.ErrClosed)
		require.ErrorIs(t, r.Push(nil), os.ErrClosed)
		_, err := r.Handle()
		require.ErrorIs(t, err, os.ErrClosed)
		require.Empty(t, recordsOf(r))
		require.EqualValues(t, 3, r.Lost(), "what was not read")
		require.Equal(t, blockGone, r.b.life, "the memory is gone")
	})
}

func TestRingClosedInALoop(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for i := range 5 {
			require.NoError(t, r.Push(numbered(24, i)))
		}
		n := 0
		for rec := range r.Records() {
			if n++; n == 2 {
				require.NoError(t, r.Close())
				require.Equal(t, numbered(24, 1), rec, "valid until the next step")
				require.ErrorIs(t, r.Push(nil), os.ErrClosed)
			}
		}
		require.Equal(t, 2, n)
		require.EqualValues(t, 3, r.Lost())
		require.Equal(t, blockGone, r.b.life)
	})
}

func TestRingCommitAfterClose(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h := r.b.handle()
		first, err := r.Reserve(8)
		require.NoError(t, err)
		require.NoError(t, r.Push(nil))
		second, err := r.Reserve(8)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.EqualValues(t, 1, r.Lost())
		require.Same(t, r, h.Ring(), "there is a producer in it")
		copy(first, "is mapped")
		require.ErrorIs(t, r.Commit(first), os.ErrClosed)
		require.EqualValues(t, 1, r.Lost(), "it was refused")
		require.Equal(t, blockLimbo, r.b.life)
		copy(second, "is mapped")
		require.ErrorIs(t, r.Discard(second), os.ErrClosed)
		require.EqualValues(t, 1, r.Lost())
		require.Equal(t, blockGone, r.b.life)
		require.Nil(t, h.Ring())
		require.ErrorIs(t, r.Commit(second), os.ErrClosed, "and touches nothing")
	})
}

// A producer that had looked before Close, and not since, is counted.
func TestRingCommitThatMissesClose(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h, err := r.reserve(0, once)
		require.NoError(t, err)
		unwritten := r.position()
		require.NoError(t, r.Push(nil))
		_, behind := r.b.header(unwritten)
		*stateOf(behind) = 0 // as if it had not got that far
		require.NoError(t, r.Close())
		require.Zero(t, r.Lost())
		*stateOf(h) = stateReady
		require.EqualValues(t, 1, r.Lost(), "the other is not known yet")
		require.Equal(t, blockLimbo, r.b.life)
		*stateOf(behind) = stateReady
		require.EqualValues(t, 2, r.Lost())
		require.Equal(t, blockGone, r.b.life)
	})
}

// Control blocks come again with another generation, and a position that no
// earlier ring had.
func TestRingControlBlocksComeAgain(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		type life struct {
			c          *control
			generation uint32
		}
		seen := map[life]bool{}
		last := map[*control]uintptr{}
		waiting := max(len(pool.idle), minIdleControls)
		for i := range 5 * waiting {
			r := ring(t, 4096<<(i%3))
			l := life{r.b.c, r.b.generation}
			require.False(t, seen[l], "the same number again")
			seen[l] = true
			require.Greater(t, r.b.start, last[r.b.c])
			require.NoError(t, r.Push(numbered(100, i)))
			require.Equal(t, [][]byte{numbered(100, i)}, recordsOf(r))
			require.Zero(t, r.Lost())
			require.NoError(t, r.Push(nil))
			last[r.b.c] = r.position()
			require.NoError(t, r.Close())
			require.EqualValues(t, 1, r.Lost())
		}
		require.LessOrEqual(t, len(last), waiting+1)
	})
}

func TestRingMemoryIsGivenBack(t *testing.T) {
	const size = 8 << 20
	before := addressSpace(t)
	for range 40 {
		r, err := New(size)
		require.NoError(t, err)
		require.NoError(t, r.Push(make([]byte, 1000)))
		require.NoError(t, r.Close())
	}
	require.Less(t, addressSpace(t), before+20*size)
}

// addressSpace returns how much of it this process has, in bytes.
func addressSpace(t testing.TB) int {
	if runtime.GOOS != "linux" {
		t.Skip("this system does not tell") // and a WASI guest sees its host's
	}
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var pages int
	_, err = fmt.Sscan(string(text), &pages)
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

func TestRingAllocatesNothing(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates")
	}
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		rec := make([]byte, 32)
		n := 0
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			_ = r.Push(rec)
			for rec := range r.Records() {
				n += len(rec)
			}
		}))
		assert.Positive(t, n)
	})
}

// books checks records of several producers: each whole, each producer's in
// order, and in the end as many as were sent.
type books struct {
	last     map[uint32]uint64
	received uint64
}

// check returns who sent the record.
func (b *books) check(t testing.TB, rec []byte) (id uint32) {
	got, err := ringforeign.Check(rec)
	if err != nil {
		require.NoError(t, err)
	}
	if b.last == nil {
		b.last = map[uint32]uint64{}
	}
	if last, seen := b.last[got.ID]; seen && got.Number <= last {
		require.Failf(t, "out of order", "%+v after %d", got, last)
	}
	b.last[got.ID] = got.Number
	b.received++
	return got.ID
}

// forProcs runs a test with 1, 2 and 4 processors.
func forProcs(t *testing.T, test func(t *testing.T)) {
	for _, n := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", n), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
			test(t)
		})
	}
}

func TestRingGoroutines(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		forProcs(t, func(t *testing.T) {
			for _, producers := range []int{1, 3, 8} {
				r := ring(t, 4096)
				count := testenv.Times(100_000) / producers / 10
				var sent, full sync.Map
				var all sync.WaitGroup
				for id := range uint32(producers) {
					all.Go(func() {
						ok, refused := 0, 0
						for number := range uint64(count) {
							n := ringforeign.Smallest + int(number*13)%100
							rec, err := r.Reserve(n)
							switch {
							case err == nil && number%7 == 3:
								err = r.Discard(rec)
							case err == nil:
								ringforeign.Fill(rec, id, number)
								if err = r.Commit(rec); err == nil {
									ok++
								}
							}
							if errors.Is(err, ErrFull) {
								refused++
								runtime.Gosched()
								err = nil
							}
							assert.NoError(t, err)
						}
						sent.Store(id, ok)
						full.Store(id, refused)
					})
				}
				ended := make(chan struct{})
				go func() { all.Wait(); close(ended) }()
				var b books
				readAll(t, r, ended, func(t testing.TB, rec []byte) { b.check(t, rec) })
				total := func(m *sync.Map) (sum uint64) {
					m.Range(func(_, n any) bool { sum += uint64(n.(int)); return true })
					return sum
				}
				require.Equal(t, total(&sent), b.received)
				require.Equal(t, total(&full), r.Lost())
				require.NoError(t, r.Close())
				require.Equal(t, total(&full), r.Lost())
			}
		})
	})
}

// readAll selects on r until ended is closed, and reads what is left then.
func readAll(t testing.TB, r *Ring, ended <-chan struct{}, use func(testing.TB, []byte)) {
	t.Helper()
	for done := false; !done; {
		ctx := patience(t)
		select {
		case <-r.C():
		case <-ended:
			done = true
		case <-ctx.Done():
			require.FailNow(t, "no token came", "%d bytes in the ring, lost %d, stalled %v", r.Len(), r.Lost(), r.Stalled())
		}
		for rec := range r.Records() {
			use(t, rec)
		}
	}
	require.NoError(t, r.Err())
	require.Zero(t, r.Len())
}

// What a producer did before is visible to who reads its record: the race
// detector says whether it knows that.
func TestRingOrdersMemory(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		values := make([]int, testenv.Times(20_000))
		go func() {
			for i := range values {
				values[i] = i + 1 // plain memory
				for r.Push([]byte{byte(i), byte(i >> 8)}) != nil {
					runtime.Gosched()
				}
			}
		}()
		buf := make([]byte, 2)
		for next := 0; next < len(values); {
			require.NoError(t, r.Wait(patience(t)))
			if next%2 == 0 {
				for range r.Records() {
					require.Equal(t, next+1, values[next])
					next++
				}
			} else if n, err := r.ReadInto(buf); err == nil {
				require.Equal(t, 2, n)
				require.Equal(t, next+1, values[next])
				next++
			}
		}
	})
}

// A Handle that Close overtakes returns none, and writes nothing into a control block
// that may be another ring's by then.
func TestRingHandleAgainstClose(t *testing.T) {
	if len(notifier.Backends()) == 0 {
		t.Skip("no doorbell")
	}
	r, err := New(4096)
	require.NoError(t, err)
	defer r.Close()
	none := r.n.String()
	r.mu.Lock()
	got := make(chan error, 1)
	go func() {
		_, err := r.Handle()
		got <- err
	}()
	for r.n.String() == none { // until the notifier has one
		runtime.Gosched()
	}
	r.ended.Store(true) // as Close does it, with the lock
	r.mu.Unlock()
	require.ErrorIs(t, <-got, ErrClosed)
	require.Zero(t, r.b.c.notifierLow)
	require.Zero(t, r.b.c.notifierHigh)
	r.ended.Store(false)
}

// misplaced is memory at an address that no handle has room for.
type misplaced struct{ backing }

func (m misplaced) control() (*control, uint32, error) {
	c, pid, err := m.backing.control()
	return (*control)(unsafe.Add(unsafe.Pointer(c), 8)), pid, err
}

func TestRingMemoryThatFitsNoHandle(t *testing.T) {
	idle := pool.idle
	defer func() { pool.idle = idle }()
	pool.idle = nil
	for _, m := range backings {
		usual, err := New(4096, withMemory(m))
		if err != nil {
			continue // it is not to be had here
		}
		require.NoError(t, usual.Close())
		r, err := New(4096, withMemory(misplaced{m}))
		require.ErrorContains(t, err, "does not fit a handle")
		require.Nil(t, r)
	}
}
