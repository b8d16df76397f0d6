//go:build !cgo || !rust

// Command rust shows a library in Rust waking a goroutine. This build of it is
// without the Rust half, which the go command cannot compile by itself.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "rust: built without its Rust half. In examples/rust, with rustc and cgo: go generate && go run -tags rust .")
	os.Exit(1)
}
