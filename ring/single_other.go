//go:build !linux

package ring

// This file stands for systems where a single producer's ring is like any other.

import "unsafe"

func hasMembarrier() bool { return false }

func membarrier() error { panic("ring: there is no membarrier here") }

func keepSmallPages(unsafe.Pointer, uintptr) {}

func retireControl(*control) {}
