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
)

type errString string

func (e errString) Error() string        { return string(e) }
func (e errString) Is(target error) bool { return target == os.ErrInvalid }

func newMultiplexer() (multiplexer, error) { return nil, errors.ErrUnsupported }
