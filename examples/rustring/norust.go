//go:build !cgo || !rust

// Command rustring shows a library in Rust handing records to a goroutine. This build of it is
// without the Rust half, which the go command cannot compile by itself.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "rustring: built without its Rust half. In examples/rustring, with rustc and cgo: go generate && go run -tags rust .")
	os.Exit(1)
}
