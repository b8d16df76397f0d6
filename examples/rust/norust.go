//go:build !cgo || !rust

package main

// This file holds the build without the Rust half, which the go command cannot
// compile by itself.

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "rust: built without its Rust half. In examples/rust, with rustc and cgo: go generate && go run -tags rust .")
	os.Exit(1)
}
