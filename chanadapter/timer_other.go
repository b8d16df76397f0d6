//go:build !linux

package chanadapter

// This file stands for the systems without timerfd_create(2).

import "errors"

func createTimer(Clock) (int, error)      { return -1, errors.ErrUnsupported }
func setTimer(int, expiry) error          { return errors.ErrUnsupported }
func readTimer(int) (uint64, bool, error) { return 0, false, errors.ErrUnsupported }
