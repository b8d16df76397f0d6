//go:build !linux

package chanadapter

// This file stands for systems where a single producer's ring is like any other.

func hasMembarrier() bool { return false }

func membarrier() error { panic("chanadapter: there is no membarrier here") }

func singleControl() (*ringControl, uint32, error) { panic("chanadapter: there is no membarrier here") }

func retireControl(*ringControl) {}
