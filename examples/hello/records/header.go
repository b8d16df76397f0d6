//go:build cgo

package main

// As in examples/hello: in a module of your own notifierh writes both headers beside
// the program. The import makes the go command see it when notifier.h changes.

// #cgo CFLAGS: -I${SRCDIR}/../../../notifier -I${SRCDIR}/../../../ring
// #cgo windows LDFLAGS: -static
import "C"

import _ "github.com/wakechan/wakechan/notifier"
