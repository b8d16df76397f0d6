//go:build !gc || !((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package notifier

// This file is callback_asm.go's twin where there is no callback_*.s.

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

func notifyFunc() (unsafe.Pointer, error) {
	return nil, fmt.Errorf("notifier: no C functions without a C compiler on %s/%s: %w", runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}

func callbackFunc(int, callbackOptions) (unsafe.Pointer, error) { return notifyFunc() }

func bindFunc(Handle, callbackOptions) (unsafe.Pointer, error) { return notifyFunc() }
