//go:build cgo

package main

// In this repository the header is in its package's folder. In a module of your own
// notifierh writes it beside the program, where the C compiler finds it.

// #cgo CFLAGS: -I${SRCDIR}/../../notifier
// #cgo windows LDFLAGS: -static
import "C"
