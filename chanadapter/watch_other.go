//go:build !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd && !windows

package chanadapter

// This file stands for the systems that cannot wait for descriptors of others,
// or whose multiplexer is not there yet.

import (
	"errors"
	"os"
)

const (
	errBadDescriptor = errString("bad descriptor")
	thing            = "descriptor"
	pollInvalid      = 0
	pollHalfClosed   = 0
)

type errString string

func (e errString) Error() string        { return string(e) }
func (e errString) Is(target error) bool { return target == os.ErrInvalid }

var pollBits []struct {
	event Events
	bit   int16
}

func kindOf(uintptr) (kind, error) { return kind{}, nil }

func newMultiplexer(kind) (multiplexer, error) { return nil, errors.ErrUnsupported }
