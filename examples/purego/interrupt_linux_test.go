package main

import (
	"testing"

	"github.com/wakechan/wakechan/internal/testenv"
)

// The same while Go's signals interrupt what the libraries call.
func TestInterruptedLibraries(t *testing.T) {
	testenv.Interrupt(t)
	eachLibrary(t)
}
