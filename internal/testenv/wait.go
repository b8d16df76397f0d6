package testenv

// This file holds how tests wait for a token: as long as Patience says, and no longer.

import (
	"context"
	"fmt"
	"testing"
)

// Context ends what takes too long.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(), Patience(),
		fmt.Errorf("no wake-up within %v", Patience()))
	t.Cleanup(cancel)
	return ctx
}

// Receive takes a token from c, which must come.
func Receive(t testing.TB, c <-chan struct{}) {
	t.Helper()
	ctx := Context(t)
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatal("no token came:", context.Cause(ctx))
	}
}

// None checks that there is no token.
func None(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatal("a token too many")
	default:
	}
}
