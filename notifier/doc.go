// Package notifier wakes goroutines from outside Go: from C, C++, Rust or Zig
// threads, signal handlers, the kernel, or other goroutines. The goroutine selects on
// a channel.
//
//	n := notifier.New()
//	defer n.Close()
//	h, err := n.Handle()           // a number, for foreign code
//	C.start_engine(h.Pointer())    // its threads call notifier_notify(h)
//	for {
//		select {
//		case <-n.C():
//			drainEngine()          // all there is: N notifications leave one token
//		case <-ctx.Done():
//			return ctx.Err()
//		}
//	}
//
// There are three ways for the foreign side:
//
//   - With a C compiler: the header notifier.h (see [Header]), and its function
//     notifier_notify.
//   - Without one: [Callback], [Notifier.Bind] and [NotifyFunc] return C functions
//     that are part of the Go program, for libraries that are loaded at run time.
//   - Go code that has only the number: [Handle.Notify].
//
// A call sets a bit in memory that is shared with a poller, which is a goroutine. It
// signals the poller's doorbell (on Linux an eventfd) only if the poller is asleep.
// It does not enter the Go runtime as a cgo callback does. So it does not wait while
// the world is stopped, and it works in signal handlers and on threads that Go does
// not know.
//
// # Guarantees
//
// A token is the one value that the channel of [Notifier.C] can hold.
//
//   - Nothing is lost: each notification is followed by a token received after it,
//     whatever the interleaving, on every memory model that Go supports.
//   - Notify before wait: a notification is kept until it is received.
//   - Coalescing: any number of notifications before a receive leave one token.
//   - Batching: if no receive runs meanwhile, N notifications cause one wake-up. A
//     receive from C that races with delivery may see up to two extra, spurious
//     tokens. [Notifier.Wait] and [Notifier.Clear] cover all notifications that
//     returned before: none of those makes a token later.
//   - Ordering: what the caller wrote before it notified is visible to the receiver.
//     With C that holds for data behind sync/atomic or a mutex, with Wait for plain
//     memory too.
//   - Anyone: any thread, signal handlers, callers while the world is stopped. A call
//     never blocks and never allocates.
//   - Close is concurrent and idempotent. After it no token is put in, [Notifier.Notify]
//     returns [ErrClosed], and foreign calls get NOTIFIER_CLOSED, for ever.
//   - Cost: a notifier has no descriptor, goroutine or thread, and takes some 200 bytes;
//     the first Done or Wait that blocks adds a channel, which is some 100 more. The
//     work of a wake-up depends on how many notifiers are ready. Idle ones add only
//     memory traffic.
//   - Faults: a doorbell or poller that breaks ends its notifiers with an error in
//     [Notifier.Err].
//   - Fork, exec, death: descriptors are close-on-exec. A forked child that notifies
//     gets NOTIFIER_CLOSED. If a thread dies inside notifier_notify, only that call can
//     be lost.
//
// # Limits
//
// What a notifier does not do:
//
//   - A token says "look", not how often or why. For data use a queue beside it, or
//     package [github.com/wakechan/wakechan/ring].
//   - The receiver runs when the scheduler has a free processor (GOMAXPROCS).
//   - After [Notifier.Handle], a notifier is not garbage-collected until Close.
//   - 2^20 notifiers fit in a poller. When all are in use, the number of one that is
//     closed is used again at once: a late call for the old one may wake the new one
//     for nothing. A [Poller] of your own gives out at most 2^38 handles in all.
//   - If other code closes our descriptor, or puts another file in its place, Err
//     reports it within about a second. Once a second a sleeping poller checks its
//     descriptor. Until then a notification by a [Handle] may signal that file. The poller
//     itself neither writes to it, nor reads or closes it.
//   - A thread with a descriptor table of its own (unshare(CLONE_FILES)) must not
//     notify: it would write into a file of its own.
//
// # Platforms
//
// Linux, Windows, macOS, the BSDs and other unixes have a doorbell for foreign
// threads. On WASI, which has no threads, the host takes the part of foreign code:
// see package [github.com/wakechan/wakechan/notifier/wasmexport]. Elsewhere (Plan 9,
// JavaScript) everything works between goroutines, and Handle gives
// [errors.ErrUnsupported].
//
// [Backends] lists the doorbells that work here. For troubleshooting without a rebuild
// there are two environment variables: NOTIFIER_BACKEND names another default, and
// NOTIFIER_LINGER sets how long pollers spin (see [WithLinger]). [docs/platforms.md] says
// what each system promises, what it cannot do, and what was tested.
//
// # testing/synctest
//
// New, C, Notify, Wait, Wakes, Clear and Close work inside a bubble, and waiting is
// durably blocking. Handle gives an error there: a poller's send on a bubble's channel
// would end the process. Notifiers from outside can be waited for inside. Like any
// channel, a notifier that was made in a bubble must not be used outside of it.
//
// [docs/platforms.md]: https://github.com/wakechan/wakechan/blob/HEAD/docs/platforms.md
package notifier

import _ "embed"

//go:embed notifier.h
var header string

// Header returns the text of notifier.h, the foreign half of this package: C11 or
// C++17, header-only, and the document of the ABI for other languages. Write it
// where a C build finds it with
//
//	go get -tool github.com/wakechan/wakechan/cmd/notifierh
//	go tool notifierh -o .
func Header() string { return header }
