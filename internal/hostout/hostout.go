// Package hostout is how ring/wasmexport reaches the reader's half of a ring.Out, and a
// reservation for a producer that comes again, which package ring does not export:
// package ring sets these. The numbers are those of Out.Handle and Ring.Handle.
package hostout

// What notifier_out_read, notifier_out_peek and notifier_out_done do.
var (
	Read func(number uint64, buf []byte) int
	Peek func(number uint64) []byte
	Done func(number uint64)

	// Try is Ring.Reserve, but a refusal is not counted in Lost, and what is kept for a
	// producer that waits is left to it.
	Try func(number uint64, n int) ([]byte, error)
)
