// Package wasmexport lets the host of a WASI guest hand records to its goroutines.
// Import it for its exports, which nobody gets unasked:
//
//	import _ "github.com/wakechan/wakechan/ring/wasmexport"
//
// The guest (GOOS=wasip1 GOARCH=wasm, go build -buildmode=c-shared) then exports
//
//	notifier_ring_reserve(ring: i64, length: i32) -> i64
//	notifier_ring_try(ring: i64, length: i32) -> i64
//	notifier_ring_commit(ring: i64, record: i32) -> i32
//	notifier_ring_discard(ring: i64, record: i32) -> i32
//
// with the numbers of Ring.Handle and the codes of ring.h and notifier.h. reserve
// returns where in the guest's memory the record is, so that the host writes it
// there, or a code: -1 the ring is closed, or never was, -2 the number is 0, -4 the
// ring is full, -5 the record is too long; the latter two are counted as lost. commit
// and discard return 0; -1 if the ring was closed since; -2 if record is not
// reserved in that ring. A reservation is the host's until one of them, whatever
// happens in between.
//
// A guest has no threads: its goroutines run while the host is inside one of its
// exports. So commit and discard yield before they return: a reader that waits has
// read, and run until it blocked or yielded, when the call comes back. To hand over
// several records at once, commit the first of them last.
//
// try is reserve for a host that comes again: a refusal is not counted as lost, and room
// that is kept for a goroutine in Ring.PushWait is left to it. If there is none it
// yields, so that the reader may make some, and looks once more; then it returns -4. There
// is no notifier_ring_wait. The host calls on the guest's only thread: while it waited
// there, no goroutine could read, and there would never be room. It returns to its own
// work, and tries again later.
//
// In the other direction it exports, with the numbers of Out.Handle,
//
//	notifier_out_read(out: i64, buffer: i32, capacity: i32) -> i32
//	notifier_out_peek(out: i64) -> i64
//	notifier_out_done(out: i64)
//
// read copies the oldest record to memory of the guest, and returns what the C function
// does: its length; 0 if there is none; more than capacity, if it is longer than that,
// and stays. peek returns where in the guest's memory the oldest record is, in the
// upper 32 bits, and its length in the lower ones; 0 if there is none. The host reads it
// there, and then calls done. read and done yield before they return, so that
// goroutines which wait for room write more.
//
// On every other system this package is empty: threads there use ring.h.
package wasmexport
