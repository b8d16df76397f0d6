package chanadapter

// This file holds what the typed readers of a Ring do.

import (
	"context"
	"errors"
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
		bad := 0
		for s, err := range Values[sample](r) {
			if err != nil {
				assert.ErrorContains(t, err, "5 bytes")
				bad++
				continue
			}
			got = append(got, s)
		}
		require.Equal(t, want[:2], got)
		require.Equal(t, 1, bad)
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
	r, err := NewRing(4096)
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
		require.EqualValues(t, 50+20-n, r.Lost(), "each is received, read or lost")
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
		cancelled := &cancelledLater{Context: ctx, after: 10, cancel: cancel}
		n := 0
		for range Chan[[8]byte](cancelled, r, 100) {
			n++
		}
		require.Less(t, n, 10)
		require.EqualValues(t, 1, r.Lost(), "the one in its hands")
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

// Who leaves at a record of another size finds the rest there, and a token for it.
func TestRingValuesLeftAtAMisfit(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		want := sample{1, 0.5, [2]uint16{3, 4}}
		require.NoError(t, r.Push([]byte("short")))
		require.NoError(t, r.Push(bytesOf(want)))
		receive(t, r.C())
		for s, err := range Values[sample](r) {
			require.ErrorContains(t, err, "5 bytes")
			require.Zero(t, s)
			break
		}
		require.EqualValues(t, 1, r.Lost())
		receive(t, r.C())
		n := 0
		for s, err := range Values[sample](r) {
			require.NoError(t, err)
			require.Equal(t, want, s)
			n++
		}
		require.Equal(t, 1, n)
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
		require.EqualValues(t, 1, r.Lost(), "it was read, and reached nobody")
		require.Equal(t, [][]byte{bytesOf(sample{Number: 9})}, recordsOf(r))
	})
}
