// Package wasmexport lets the host of a WASI guest wake its goroutines. Import it
// for its export, which nobody gets unasked:
//
//	import _ "github.com/wakechan/wakechan/notifier/wasmexport"
//
// The guest (GOOS=wasip1 GOARCH=wasm, go build -buildmode=c-shared) then exports
//
//	notifier_notify(handle: i64) -> i32
//
// with the handles and codes of notifier.h: 0 a wake-up is on its way, -1 the
// notifier is closed, -2 the handle never came from Notifier.Handle, -3 the
// doorbell failed, which the one of WASI does not. It gives no code 1; a coalesced
// notification is 0 as well.
//
// A guest has no threads: its goroutines run while the host is inside one of its
// exports, and between those nothing does, timers included. So notifier_notify
// yields before it returns: a goroutine that waits for the notifier has received,
// and run until it blocked or yielded, when the host's call comes back. What it
// leaves undone, such as a time.Sleep, goes on during the next call of an export.
//
// A host calls one export of an instance at a time, from whichever thread.
// It cannot wake a guest that is inside poll_oneoff (all goroutines asleep while
// one of them waits for a timer or a descriptor, within an export or main): nothing
// in WASI preview 1 can.
//
// On every other system this package is empty: threads there call notifier_notify
// of notifier.h.
package wasmexport
