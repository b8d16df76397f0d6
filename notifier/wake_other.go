//go:build !unix && !windows && !wasip1

package notifier

// This file stands for the systems whose doorbell is not there yet: everything
// works between goroutines, and Handle gives errors.ErrUnsupported.

var backends []backend
