// Package ring brings records from foreign threads to a goroutine, and from
// goroutines to a foreign thread that must not wait.
//
// A [Ring] is a fixed block of memory. Any thread or signal handler appends records to
// it through ring.h (see [Header]), and one goroutine reads them:
//
//	r, err := ring.New(1 << 16)       // bytes
//	defer r.Close()
//	h, err := r.Handle()              // a number, for foreign code
//	C.start_engine(C.uint64_t(h))     // its threads call notifier_ring_push(h, …)
//	for {
//		select {
//		case <-r.C():
//			for rec := range r.Records() {
//				use(rec)
//			}
//		case <-r.Done():
//			return r.Err()
//		}
//	}
//
// An [Out] is the other direction: goroutines write, and an audio callback, for
// example, reads without waiting.
//
// A producer never waits for a Ring. If there is no room, the record is refused and
// counted (see [Ring.Lost]). Each record that was accepted is read, or counted when
// the ring is closed.
//
// # Conventions
//
// They are package notifier's. C has room for one token and is never closed. Done
// is closed when no more tokens come, and Err says why: [ErrClosed] after Close, or
// what broke.
//
// All methods are safe from any goroutine at any time, with two exceptions:
//
//   - A Ring has one reader at a time: Wait, Records, ReadInto, [Values], [Batches] and
//     [Chan].
//   - A Ring that was made [WithSingleProducer] has one producer at a time: Push,
//     Reserve and the foreign calls.
//
// On a nil or zero Ring, C panics and everything else answers as after Close.
//
// # Systems
//
// A Ring works between goroutines on every system. Foreign threads can push where
// [notifier.Notifier.Handle] works. Hosts of WASI guests use package
// [github.com/wakechan/wakechan/ring/wasmexport]. [docs/ring.md] says how
// large to make a ring, and what it does when a producer dies.
//
// [docs/ring.md]: https://github.com/wakechan/wakechan/blob/HEAD/docs/ring.md
package ring
