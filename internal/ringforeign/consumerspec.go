package ringforeign

// This file holds what both builds share about threads that read an Out.

// How a thread consumes: by notifier_out_read; by peek and done; by either.
const (
	ConsumeRead How = iota
	ConsumePeek
	ConsumeMixed
)

// What a signal handler does to the thread: nothing; it reads too; it jumps out of the
// call that it interrupts, which is what a thread that dies there looks like to others.
const (
	InterruptNothing = iota
	InterruptRead
	InterruptJump
)

// ConsumerSpec is how a thread reads.
type ConsumerSpec struct {
	Handle    uint64
	How       How
	Interrupt int // see Interrupt
}

// MostWriters is how many writers a thread can tell apart: the ID in a record must be
// less.
const MostWriters = 16

// ConsumerResults counts what a thread, or its handler, has read.
type ConsumerResults struct {
	Read    uint64
	Again   uint64 // records that came twice: peeked at, and jumped away from before done
	Wrong   uint64 // bytes or order: none may be
	Changed uint64 // calls that changed errno: none may
	Jumps   uint64 // the thread's, by the handler: each may cost one record
}
