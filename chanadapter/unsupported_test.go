package chanadapter

// This file holds what every system does: it has the types, closed ones answer, and what
// the system lacks is told by errors.ErrUnsupported.

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEventFDNilAndZero(t *testing.T) {
	for name, e := range map[string]*EventFD{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { e.C() })
			assert.Equal(t, ErrClosed, e.Wait(context.Background()))
			assert.Equal(t, ErrClosed, e.Err())
			assert.NoError(t, e.Close())
			assert.Zero(t, e.Value())
			assert.Equal(t, ^uintptr(0), e.FD())
			assert.Contains(t, e.String(), "EventFD(")
			_, err := e.File()
			assert.Equal(t, ErrClosed, err)
			<-e.Done()
		})
	}
}

func TestTimerNilAndZero(t *testing.T) {
	for name, timer := range map[string]*Timer{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Panics(t, func() { timer.C() })
			assert.Equal(t, ErrClosed, timer.Wait(context.Background()))
			assert.Equal(t, ErrClosed, timer.Err())
			assert.Equal(t, ErrClosed, timer.After(1))
			assert.Equal(t, ErrClosed, timer.Every(1))
			assert.Equal(t, ErrClosed, timer.Stop())
			assert.Contains(t, timer.String(), "Timer(")
			_, err := timer.Expired()
			assert.Equal(t, ErrClosed, err)
			assert.NoError(t, timer.Close())
			<-timer.Done()
		})
	}
}

func TestUnsupported(t *testing.T) {
	if runtime.GOOS == "linux" {
		t.Skip("Linux has them all")
	}
	_, err := NewEventFD(Semaphore())
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = OpenEventFD(0)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	for _, clock := range []Clock{Realtime, Boottime} {
		_, err = NewTimer(clock)
		assert.ErrorIs(t, err, errors.ErrUnsupported)
	}
	if runtime.GOOS != "windows" {
		_, err = Process(os.Getpid())
		assert.ErrorIs(t, err, errors.ErrUnsupported)
	}
}
