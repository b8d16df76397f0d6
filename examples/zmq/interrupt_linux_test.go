package main

import (
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
	if err := run(testenv.Context(t), io.Discard); err != nil {
		t.Error(err)
	}
}
