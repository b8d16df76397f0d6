package notifier

// This file holds what NotifyFunc, Callback, Bind and Handle.Pointer promise, on every
// system. That the C functions do what notifier.h does is callback_test.go's business.

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ccall"
)

// needCallbacks ends a test where there are no C functions, or nobody to call them.
func needCallbacks(t testing.TB) {
	t.Helper()
	if _, err := NotifyFunc(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if !ccall.Available {
		t.Skip("the tests cannot call C functions here")
	}
}

func TestHandlePointer(t *testing.T) {
	h := makeHandle(0x7f1234800000, 4711, 42)
	if strconv.IntSize == 32 {
		assert.Nil(t, h.Pointer(), "half a handle is none")
	} else {
		assert.Equal(t, uint64(h), uint64(uintptr(h.Pointer())))
	}
	assert.Nil(t, Handle(0).Pointer())
}

func TestCallbackRefusals(t *testing.T) {
	n := newOpen(t)
	for _, returns := range []int{-1, 2, 1 << 30} {
		_, err := Callback(0, Returns(returns))
		require.ErrorIs(t, err, os.ErrInvalid)
		_, err = n.Bind(Returns(returns))
		require.ErrorIs(t, err, os.ErrInvalid)
	}
	for _, arg := range []int{-1, 6, 1 << 30} {
		_, err := Callback(arg)
		require.ErrorIs(t, err, os.ErrInvalid)
	}
	_, err := n.Bind(Indirect())
	require.ErrorIs(t, err, os.ErrInvalid)

	f, err := NotifyFunc()
	for _, other := range []func() (unsafe.Pointer, error){
		func() (unsafe.Pointer, error) { return Callback(5, Returns(1), Indirect()) },
		func() (unsafe.Pointer, error) { return n.Bind() },
	} {
		g, otherErr := other()
		if err != nil {
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorIs(t, otherErr, errors.ErrUnsupported)
			require.Nil(t, f)
			require.Nil(t, g)
		} else {
			require.NoError(t, otherErr)
			require.NotNil(t, g)
		}
	}
	if err != nil {
		return
	}
	require.NoError(t, n.Close())
	_, err = n.Bind()
	require.ErrorIs(t, err, ErrClosed)
	_, err = (*Notifier)(nil).Bind()
	require.ErrorIs(t, err, ErrClosed)
}

// newOpen returns a notifier of a poller of its own.
func newOpen(t testing.TB) *Notifier {
	t.Helper()
	n, err := newPoller(t).New()
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// A token comes, whichever argument holds the handle; and none from a handle that is
// closed, or 0.
func TestCallback(t *testing.T) {
	needCallbacks(t)
	n := newOpen(t)
	h := handleOf(t, n)
	for arg := range callbackArgs {
		for returns := range 2 {
			for _, indirect := range []bool{false, true} {
				opts := []CallbackOption{Returns(returns)}
				args := make([]uint64, callbackArgs)
				cell := uint64(h)
				args[arg] = cell
				if indirect {
					opts = append(opts, Indirect())
					args[arg] = uint64(uintptr(unsafe.Pointer(&cell)))
				}
				f, err := Callback(arg, opts...)
				require.NoError(t, err)
				result := ccall.Call(f, args...)
				keep(&cell)
				require.EqualValues(t, returns, result)
				receive(t, n)
			}
		}
	}
	f, err := Callback(0)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	assert.Zero(t, ccall.Call(f, uint64(h)))
	assert.Zero(t, ccall.Call(f, 0))
	notify, err := NotifyFunc()
	require.NoError(t, err)
	assert.EqualValues(t, -1, int(ccall.Call(notify, uint64(h))), "NOTIFIER_CLOSED")
	assert.EqualValues(t, -2, int(ccall.Call(notify, 0)), "NOTIFIER_INVALID")
}

//go:noinline
func keep(*uint64) {}

func TestBind(t *testing.T) {
	needCallbacks(t)
	a, b := newOpen(t), newOpen(t)
	fa, err := a.Bind()
	require.NoError(t, err)
	fb, err := b.Bind(Returns(1))
	require.NoError(t, err)
	for range 3 {
		assert.EqualValues(t, 0, ccall.Call(fa, 1, 2, 3, 4, 5, 6))
		receive(t, a)
		assert.EqualValues(t, 1, ccall.Call(fb, ^uint64(0)))
		receive(t, b)
	}
	assert.False(t, a.Clear())

	again, err := a.Bind(Returns(0))
	require.NoError(t, err)
	assert.Equal(t, fa, again, "the same options, the same function")
	other, err := a.Bind(Returns(1))
	require.NoError(t, err)
	assert.NotEqual(t, fa, other)
	assert.EqualValues(t, 1, ccall.Call(other))
	receive(t, a)

	// A late call finds nobody.
	require.NoError(t, b.Close())
	assert.EqualValues(t, 1, ccall.Call(fb))
	assert.False(t, b.Clear())
}

// All 256 can be had, Close frees them, and the one that was freed last is given out
// last.
func TestBindTakesTurns(t *testing.T) {
	needCallbacks(t)
	p := newPoller(t)
	var bound []*Notifier
	addresses := map[unsafe.Pointer]int{}
	var err error
	for {
		n, newErr := p.New()
		require.NoError(t, newErr)
		var f unsafe.Pointer
		if f, err = n.Bind(); err != nil {
			require.NoError(t, n.Close())
			break
		}
		require.NotContains(t, addresses, f)
		addresses[f] = len(bound)
		bound = append(bound, n)
	}
	require.ErrorContains(t, err, "256")
	require.Len(t, bound, maxBound)

	// Each wakes its own notifier.
	for f, i := range addresses {
		ccall.Call(f)
		receive(t, bound[i])
	}
	for _, n := range bound {
		require.False(t, n.Clear())
	}

	for _, n := range slices.Backward(bound) {
		require.NoError(t, n.Close())
	}
	n, err := p.New()
	require.NoError(t, err)
	defer n.Close()
	first, err := n.Bind()
	require.NoError(t, err)
	require.NoError(t, n.Close())
	// 255 others come before it.
	for range maxBound - 1 {
		n, err := p.New()
		require.NoError(t, err)
		f, err := n.Bind()
		require.NoError(t, err)
		require.NotEqual(t, first, f)
		require.NoError(t, n.Close())
	}
	n, err = p.New()
	require.NoError(t, err)
	defer n.Close()
	f, err := n.Bind()
	require.NoError(t, err)
	assert.Equal(t, first, f)
	// The former owner's library calls: a token for nothing, at worst.
	ccall.Call(first)
	receive(t, n)
}
