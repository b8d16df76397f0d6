//go:build !cgo

// Callback is hello without the header. Its library is C in the same file, which needs
// cgo; libraries that are loaded at run time do not: see examples/purego.
package main

import "fmt"

func main() {
	fmt.Println("built without cgo: there is no library here; examples/purego loads some")
}
