package main

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/wakechan/wakechan/internal/testenv"
)

// With -tags zmq: all arrive while signals interrupt what both threads call.
func TestInterrupted(t *testing.T) {
	if open == nil {
		t.Skip("built without libzmq")
	}
	testenv.Interrupt(t)
	ctx := testenv.Context(t) // whose end is no failure of run
	if err := errors.Join(run(ctx, io.Discard), context.Cause(ctx)); err != nil {
		t.Error(err)
	}
}
