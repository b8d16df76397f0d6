//go:build unix && !linux && !freebsd && !netbsd

package forked

// This file stands for the unixes whose kernel cannot do it, or is not asked:
// minherit(2) of macOS and OpenBSD has to be called through their C libraries, and
// golang.org/x/sys has no binding for it.

import (
	"errors"
	"unsafe"
)

// Zero is not possible.
func Zero(unsafe.Pointer, uintptr) error { return errors.ErrUnsupported }

// Drop is not possible.
func Drop(unsafe.Pointer, uintptr) error { return errors.ErrUnsupported }
