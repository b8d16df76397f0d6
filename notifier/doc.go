// Package notifier wakes goroutines from outside Go: from C, C++, Rust or Zig
// threads, signal handlers, the kernel, or other goroutines. The goroutine just
// selects on a channel.
//
//	n, err := notifier.New()
//	defer n.Close()
//	h, err := n.Handle()              // a number, for foreign code
//	C.start_engine(C.uint64_t(h))     // its threads call notifier_notify(h)
//	for {
//		select {
//		case <-n.C():
//			drainEngine()
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
//
// The foreign side is one header without a library: see Header. A call of its
// notifier_notify sets a bit in memory that it shares with a poller, a goroutine
// parked in the runtime's network poller, and rings the poller's doorbell (on
// Linux an eventfd) only if that is in bed. It does not enter the Go runtime as a
// cgo callback does, so it needs no P, does not wait while the world is stopped,
// and works in signal handlers and on threads that Go has never heard of.
//
// # Guarantees
//
//   - Coalescing: any number of notifications before a receive leave one token.
//     5 before the wait: 1 wake-up.
//   - Notify before wait: a notification is kept until it is received, however
//     long before.
//   - Batching: once N notifications have returned and things are quiet, exactly
//     one wake-up comes. For Notify, Wait and Clear that holds without "quiet":
//     they cover all that returned before. A plain receive from C that overtakes
//     the poller may see at most two more tokens: spurious, never lost.
//   - No lost wake-up: each notification is followed by a token received after
//     it, whatever the interleaving, on every memory model that Go supports.
//   - Ordering: what the caller did before notifying is visible to the receiver:
//     data behind sync/atomic or a mutex with C, plain memory too with Wait.
//   - Anyone: threads unknown to Go, signal handlers, callers during a
//     stop-the-world. Never blocks, never allocates.
//   - Close is concurrent and idempotent. When it returns no later token is put
//     in; Notify gives ErrClosed, late foreign calls NOTIFIER_CLOSED, for ever.
//     No descriptor of anyone else is ever written.
//   - Cost: a notifier has no descriptor, goroutine or thread, and takes less than
//     256 bytes. A wake-up costs as much as there are ready notifiers, whatever
//     the number of notifiers; 2^20 fit in a poller.
//   - Faults: a doorbell or poller that breaks ends its notifiers with an error in
//     Err. Nothing fails silently.
//   - Fork, exec, death: descriptors are close-on-exec; a forked child that
//     notifies gets NOTIFIER_CLOSED and does no harm; a thread killed inside
//     notifier_notify harms nobody: its own unfinished call may be lost, nothing
//     else.
//
// # Limits
//
// A notifier says "look", not how often or why: the count of notifications is not
// data. The receiving goroutine needs a P: while all are busy it waits for one,
// like any goroutine. A notifier whose handle was taken lives until Close.
// Closing the library's descriptors behind its back is noticed within about a
// second, and is a fault; on Linux not if the number went to another eventfd. For
// that a poller in bed gets up once a second.
//
// # Platforms
//
// Linux, Windows, macOS, the BSDs and other unixes have a doorbell for foreign
// threads. On WASI, which has no threads, the host takes the part of foreign code:
// see package wasmexport. Elsewhere (Plan 9, JavaScript) everything works between
// goroutines, and Handle gives errors.ErrUnsupported.
//
// Backends lists the doorbells that work here. The environment variable
// NOTIFIER_BACKEND names another default, for a support case.
// docs/platforms.md says what each system promises and cannot do, and what was
// run.
//
// # testing/synctest
//
// New, C, Notify, Wait, Wakes, Clear and Close work inside a bubble, and waiting
// is durably blocking. Handle gives an error there: a poller's send on a bubble's
// channel would end the process. Done or a blocking Wait of a notifier from outside
// needs a channel made beforehand, of which there are 16. Like any channel, a notifier made in a bubble
// must not be used outside of it.
package notifier

import _ "embed"

// Header is the text of notifier.h, the foreign half of this package: C11 or
// C++17, header-only, and the document of the ABI for other languages. Write it
// where a C build finds it with
//
//	go run github.com/wakechan/wakechan/cmd/notifierh -o DIR
//
//go:embed notifier.h
var Header string
