//go:build !linux

package main

import (
	"context"
	"fmt"
	"io"
)

func run(_ context.Context, out io.Writer) error {
	fmt.Fprintln(out, "nothing to show here: io_uring is Linux's")
	return nil
}
