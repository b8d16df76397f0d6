package ring

// This file holds what the typed readers of a Ring do.

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type sample struct {
	Number uint64
	Level  float32
	Kind   [2]uint16
}

// bytesOf is what a producer in C would push.
func bytesOf(s sample) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&s)), unsafe.Sizeof(s))...)
}

func TestRingValues(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		want := []sample{{1, 0.5, [2]uint16{3, 4}}, {2, -1, [2]uint16{}}, {3, 2, [2]uint16{1, 0xffff}}}
		for _, s := range want {
			require.NoError(t, r.Push(bytesOf(s)))
		}
		var got []sample
		for s, err := range Values[sample](r) {
			require.NoError(t, err)
			got = append(got, s)
		}
		require.Equal(t, want, got)

		require.NoError(t, r.Push(bytesOf(want[0])))
		require.NoError(t, r.Push([]byte("short")))
		require.NoError(t, r.Push(bytesOf(want[1])))
		got = nil
		for s, err := range Values[sample](r) {
			require.NoError(t, err)
			got = append(got, s)
		}
		require.Equal(t, want[:2], got)
		require.EqualValues(t, 1, r.Lost())

		require.NoError(t, r.Push(nil))
		n := 0
		for _, err := range Values[struct{}](r) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 1, n)
	})
}

func TestRingValuesArePlain(t *testing.T) {
	r, err := New(4096)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Push(make([]byte, 8)))
	for range 2 { // found out, remembered
		assert.ErrorContains(t, firstError[*int](r), "pointer")
		assert.ErrorContains(t, firstError[string](r), "string")
		assert.ErrorContains(t, firstError[[]byte](r), "slice")
		assert.ErrorContains(t, firstError[any](r), "interface")
		assert.ErrorContains(t, firstError[map[int]int](r), "map")
		assert.ErrorContains(t, firstError[func()](r), "func")
		assert.ErrorContains(t, firstError[chan int](r), "chan")
		assert.ErrorContains(t, firstError[unsafe.Pointer](r), "pointer")
		assert.ErrorContains(t, firstError[struct {
			N    int
			Deep [3]struct{ P *int }
		}](r), ".Deep[].P is a ptr")
		assert.ErrorContains(t, firstError[struct{ Set bool }](r), ".Set is a bool")
	}
	assert.NotZero(t, r.Len(), "nothing was read")
	assert.NoError(t, firstError[uint64](r))
	assert.Panics(t, func() { Chan[*int](t.Context(), r, 1) })
}

func firstError[T any](r *Ring) error {
	for _, err := range Values[T](r) {
		return err
	}
	return errors.New("nothing came")
}

func TestRingChan(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		ctx, cancel := context.WithCancel(patience(t))
		defer cancel()
		require.NoError(t, r.Push([]byte("first")))
		values := Chan[sample](ctx, r, 3)
		require.Equal(t, 3, cap(values))
		for i := range uint64(500) {
			require.NoError(t, r.Push(bytesOf(sample{Number: i})))
			if i%10 == 7 {
				require.NoError(t, r.Push([]byte("short")))
			}
			require.Equal(t, sample{Number: i}, <-values)
		}
		// It ends with the context, full or not.
		for i := range uint64(20) {
			require.NoError(t, r.Push(bytesOf(sample{Number: i})))
		}
		require.Equal(t, sample{Number: 0}, <-values)
		cancel()
		n := uint64(1)
		for s := range values {
			require.Equal(t, n, s.Number)
			n++
		}
		for range r.Records() {
			n++
		}
		require.EqualValues(t, 51+20-n, r.Lost(), "each is received, read or lost")
		require.NoError(t, r.Err())
	})
}

func TestRingChanEndsWithTheRing(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		for _, size := range []int{0, 1, 100} {
			r := ring(t, 4096)
			values := Chan[uint32](t.Context(), r, size)
			for range 10 {
				require.NoError(t, r.Push(make([]byte, 4)))
			}
			for range min(size, 5) {
				<-values
			}
			require.NoError(t, r.Close())
			n := min(size, 5)
			for range values {
				n++
			}
			require.EqualValues(t, 10-n, r.Lost(), "each is received or lost")
		}
	})
}

// Producers that keep up do not keep Chan from seeing that ctx is done.
func TestRingChanIsCancelledWhileRecordsCome(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		ctx, cancel := context.WithCancel(t.Context())
		for range 100 {
			require.NoError(t, r.Push(make([]byte, 8)))
		}
		cancelled := &cancelledLater{Context: ctx, after: 3, cancel: cancel}
		n := 0
		for range Chan[[8]byte](cancelled, r, 100) {
			n++
		}
		require.Less(t, n, 100)
		require.Len(t, recordsOf(r), 100-n, "none was in its hands")
		require.Zero(t, r.Lost())
	})
}

// cancelledLater is done when it was asked so often.
type cancelledLater struct {
	context.Context
	after  int
	cancel func()
}

func (c *cancelledLater) Err() error {
	if c.after--; c.after == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// A record of another size is no value, whoever does not look at the error: it is left out
// and counted, at the beginning, between others and at the end.
func TestRingMisfitsAreNoValues(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		want := sample{1, 0.5, [2]uint16{3, 4}}
		push := func() {
			require.NoError(t, r.Push([]byte("short")))
			require.NoError(t, r.Push(bytesOf(want)))
			require.NoError(t, r.Push(make([]byte, 100)))
			rec, err := r.Reserve(1000)
			require.NoError(t, err)
			require.NoError(t, r.Discard(rec))
			require.NoError(t, r.Push(bytesOf(want)))
			require.NoError(t, r.Push(nil))
		}
		push()
		n := 0
		for s := range Values[sample](r) {
			require.Equal(t, want, s)
			n++
		}
		require.Equal(t, 2, n)
		require.EqualValues(t, 3, r.Lost())
		push()
		var all []sample
		for b := range Batches[sample](r) {
			all = append(all, b...)
		}
		require.Equal(t, []sample{want, want}, all)
		require.EqualValues(t, 6, r.Lost())
		require.Zero(t, r.Len())
		for range Batches[struct{}](r) {
			t.Fatal("there is nothing")
		}
		require.NoError(t, r.Push(nil))
		for b := range Batches[struct{}](r) {
			require.Len(t, b, 1)
		}
		require.Panics(t, func() { Batches[*int](r) })
	})
}

// Batches from a producer that goes on meanwhile, to one that leaves now and then, and
// comes to a record that is not committed yet.
func TestRingBatches(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		const total = 20_000
		r := ring(t, 1<<14)
		go func() {
			ctx := patience(t)
			for i := range uint64(total) {
				if i%1000 == 7 {
					rec, err := r.Reserve(int(unsafe.Sizeof(sample{})))
					for errors.Is(err, ErrFull) {
						runtime.Gosched()
						rec, err = r.Reserve(int(unsafe.Sizeof(sample{})))
					}
					assert.NoError(t, err)
					runtime.Gosched()
					copy(rec, bytesOf(sample{Number: i}))
					assert.NoError(t, r.Commit(rec))
				} else {
					assert.NoError(t, r.PushWait(ctx, bytesOf(sample{Number: i})))
				}
			}
			assert.NoError(t, r.Finish())
		}()
		n, biggest := uint64(0), 0
		for ctx := patience(t); ; {
			err := r.Wait(ctx)
			if err != nil {
				require.Equal(t, io.EOF, err)
				break
			}
			for b := range Batches[sample](r) {
				for _, s := range b {
					require.Equal(t, n, s.Number)
					n++
				}
				if biggest = max(biggest, len(b)); n%7 == 0 {
					break
				}
			}
		}
		require.EqualValues(t, total, n)
		require.LessOrEqual(t, biggest, r.Cap()/4/24)
		require.Equal(t, io.EOF, r.Err())
	})
}

// A receiver that comes late gets each value all the same, and the one that waits for
// it when the context ends is counted.
func TestRingChanWaitsForItsReceiver(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		values := Chan[sample](ctx, r, 0)
		for i := range uint64(10) {
			require.NoError(t, r.Push(bytesOf(sample{Number: i})))
		}
		for i := range uint64(8) {
			synctest.Wait() // it has found nobody there
			require.Equal(t, sample{Number: i}, <-values)
		}
		synctest.Wait()
		cancel()
		_, more := <-values
		require.False(t, more)
		require.Zero(t, r.Lost())
		require.Equal(t, [][]byte{bytesOf(sample{Number: 8}), bytesOf(sample{Number: 9})}, recordsOf(r))
	})
}
