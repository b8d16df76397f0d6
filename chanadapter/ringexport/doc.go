// Package ringexport lets the host of a WASI guest hand records to its goroutines.
// Import it for its exports, which nobody gets unasked:
//
//	import _ "github.com/wakechan/wakechan/chanadapter/ringexport"
//
// The guest (GOOS=wasip1 GOARCH=wasm, go build -buildmode=c-shared) then exports
//
//	notifier_ring_reserve(ring: i64, length: i32) -> i64
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
// On every other system this package is empty: threads there use ring.h.
package ringexport
