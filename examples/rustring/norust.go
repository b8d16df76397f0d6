//go:build !cgo || !rust

package main

// This file holds the build without the Rust half, which the go command cannot
// compile by itself.

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "rustring: built without its Rust half. In examples/rustring, with rustc and cgo: go generate && go run -tags rust .")
	os.Exit(1)
}
