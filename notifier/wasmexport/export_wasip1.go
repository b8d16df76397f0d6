package wasmexport

// This file holds the export.

import (
	"errors"
	"os"
	"runtime"

	"github.com/wakechan/wakechan/notifier"
)

// yields is how often the export lets others run. Once is enough for the poller,
// the receiver and whomever that wakes in turn, who all go before a goroutine that
// yielded; but every 61st time the scheduler takes that one first.
const yields = 3

//go:wasmexport notifier_notify
func notify(handle uint64) int32 {
	switch err := notifier.Handle(handle).Notify(); {
	case err == nil:
		for range yields {
			runtime.Gosched()
		}
		return 0 // NOTIFIER_OK
	case errors.Is(err, notifier.ErrClosed):
		return -1 // NOTIFIER_CLOSED
	case errors.Is(err, os.ErrInvalid):
		return -2 // NOTIFIER_INVALID
	default:
		return -3 // NOTIFIER_FAILED
	}
}
