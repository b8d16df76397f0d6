//go:build gc && amd64

package notifier

// This file looks up what the C functions of callback_windows_amd64.s call.

import (
	"sync/atomic"

	"golang.org/x/sys/windows"
)

// postAddress is the address of PostQueuedCompletionStatus: 0 until
// prepareCallbacks, which comes before any address of a C function is given out.
var postAddress atomic.Uintptr

// At first use and not in init: programs that use none of this do not pay for it.
func prepareCallbacks() error {
	if postAddress.Load() == 0 {
		post := windows.NewLazySystemDLL("kernel32.dll").NewProc("PostQueuedCompletionStatus")
		if err := post.Find(); err != nil {
			return err
		}
		postAddress.Store(post.Addr())
	}
	return nil
}
