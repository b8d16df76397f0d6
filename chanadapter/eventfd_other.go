//go:build !linux

package chanadapter

// This file stands for the systems without eventfd(2).

import (
	"errors"
	"sync"
)

func createEventFD(bool) (uintptr, error)              { return 0, errors.ErrUnsupported }
func duplicate(uintptr) (uintptr, error)               { return 0, errors.ErrUnsupported }
func examineEventFD(uintptr) (bool, bool, error)       { return false, false, errors.ErrUnsupported }
func gate(uintptr) (uintptr, error)                    { return 0, errors.ErrUnsupported }
func pass(uintptr)                                     {}
func closeDescriptor(uintptr)                          {}
func readCounter(uintptr, *sync.Mutex) (uint64, error) { return 0, errors.ErrUnsupported }
func readable(uintptr) bool                            { return false }
