package ring

// This file holds the Ring: its protocol, and what is neither reading nor pushing.
// The reader's half is reader.go and stall.go; the producers' half is
// ring.h for foreign code and producer.go for Go, which take the same steps
// in the same order: where a comment says "producer", it means both. How the
// memory comes, ends and comes again is block.go.
//
// # The protocol
//
// Positions count bytes and only grow (they wrap round where a native word is 32
// bits). A record at position p lies at p % size; its header is at a multiple of
// 8 and has a state and a tag. Three words say what memory is whose:
//
//	consumer <= next <= position <= consumer + size
//
//	[consumer, next)      the reader's: records it is done with, not given back
//	[next, position)      reserved: each record has a state of its own
//	[position, consumer + size)   free: all zero
//
// position: where the next record will be.
//
//	p -> p + n     a producer, by compare-and-swap, having seen room: reserve
//	p -> p | 1     shut, by fetch-or: nothing is reserved any more
//	p | 1 -> q     open, in the time of the next ring that has this control block
//
// It is the lock of everything that a producer reads before it: a producer loads
// position first and exchanges it last, and a value never comes again, so what
// it read in between is of one ring, and still true. On 32-bit systems a value
// comes again after 4 GiB: a producer would have to be stopped between the two
// for exactly that many bytes.
//
// consumer: how far the reader has given memory back. Written by the reader
// only (publish), after it zeroed what lies before. A producer that sees it sees
// the zeros, so a state that is not zero was written in this round.
//
// state of a record:
//
//	0 -> BUSY              the producer, right after reserving
//	0 -> DROPPED           the same, for padding
//	BUSY -> READY          commit, a release store: the bytes are visible to who
//	                       sees READY
//	BUSY -> DROPPED        discard; or commit, which found the ring shut
//	READY, DROPPED -> 0    the reader, which has it for itself (publish)
//
// The reader goes from record to record and stops at the first that is 0 or
// BUSY: that keeps the order of reservation. It does not look at position for
// it, which the producers fight over already.
//
// wanted: bit 0 says that the reader is asleep, or about to be; bit 1 that only
// the record at consumer is of use to it, since that is reserved and not
// committed; the rest is a number that is never the same twice.
//
//	even -> odd   the reader (settle), having given everything back. It looks
//	              at position after that.
//	odd -> odd    the same, with a new number: a producer that notified for the
//	              old one must not clear the bit of this one
//	odd -> even   a producer, by compare-and-swap, that has notified after its
//	              commit: from then on nobody else needs to. Not if that failed:
//	              the word may be the next ring's by then. Also the reader, when
//	              it found something after all.
//
// The reader writes wanted and then reads position; a producer writes position,
// reserving, and then reads wanted, having committed. All four are sequentially
// consistent, so one of them sees the other:
//
//   - The producer sees odd: it notifies. (Or somebody did, for whose number it
//     is even again: then the reader comes back to settle, after the reservation.)
//   - The reader sees that something is reserved. It does not know whether that
//     producer saw wanted before it was odd, since a commit has no fence between
//     its store and its look, which would cost as much as all the rest of it. So
//     it looks at the state for a moment, and then sleeps with a timer running
//     that looks again, after stallPoll at first: as a rule the producer will
//     see it and notify, but need not. Who stops the timer owes the wake-up.
//
// # A single producer
//
// With one producer at a time (WithSingleProducer) it need exclude only signal
// handlers on its own thread, for which one instruction is enough: an exchange
// without the lock. What that lock was good for besides is bought from membarrier(2),
// which makes every running thread pass a full fence, by those who seldom need it:
//
//	the producer writes       the reader writes wanted, has its
//	position, reads wanted    membarrier, reads position (settle)
//
//	the producer writes       Close writes generation, has its
//	entered, reads            membarrier, reads entered (shut, reap)
//	generation
//
// If the barrier meets the producer before its write, it reads what the other side
// wrote; if after it, the other side reads what it wrote.
//
// entered: whether the producer is in reserve. 0 -> 1 -> 0 by the producer, a handler
// leaves it as it found it. Only when Close has seen 0 is the position what it
// stays, and each reserved record has a header, which tells the rest. The exchange
// without a lock can undo the closed bit: shut looks after its barrier, when none is
// under way.
//
// # The dead
//
// A producer that dies between its commit and the notification leaves wanted odd
// for the next one to commit; with bit 1 set the timer finds it out.
//
// Nothing in the memory is believed. The reader keeps next, consumer and the
// sizes to itself, checks each length and tag before it uses it, and the
// position and the control block each time that it gives memory back.

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wakechan/wakechan/internal/breath"
	"github.com/wakechan/wakechan/internal/bubble"
	"github.com/wakechan/wakechan/internal/closing"
	"github.com/wakechan/wakechan/internal/ending"
	"github.com/wakechan/wakechan/internal/quota"
	"github.com/wakechan/wakechan/notifier"
)

//go:embed ring.h
var header string

// Header returns the text of ring.h, the foreign half of [Ring]: C11 or C++17,
// header-only, and the document of the ABI for other languages. It includes
// notifier.h, which is [notifier.Header].
func Header() string { return header }

var (
	// ErrClosed is what a closed Ring returns. errors.Is matches it with os.ErrClosed.
	ErrClosed error = closing.Error("ring")

	// ErrFull is what Push returns when there is no room for the record,
	// which is counted in Lost.
	ErrFull = errors.New("ring: the ring is full")

	// ErrTooLarge is what Push returns for a record longer than MaxRecord,
	// which is counted in Lost.
	ErrTooLarge = errors.New("ring: the record is longer than the ring's maximum")

	// ErrEmpty is what ReadInto returns when there is no record to read.
	ErrEmpty = errors.New("ring: the ring is empty")
)

// DefaultStallTime is how long the reader waits for a record that is reserved
// and not committed before it is told, unless [WithStallTime] says otherwise.
const DefaultStallTime = time.Second

// DefaultLinger is the longest time that the reader looks for more records
// before it goes to sleep, unless [WithLinger] says otherwise.
const DefaultLinger = 50 * time.Microsecond

// MaxSize is the size in bytes of the largest ring.
const MaxSize = 1 << 30

// Option sets up a Ring.
type Option func(*options)

type options struct {
	poller *notifier.Poller
	stall  time.Duration
	linger time.Duration
	single bool

	memory backing // for tests
}

// WithPoller makes p serve the ring's wake-ups, in place of the default
// poller.
func WithPoller(p *notifier.Poller) Option {
	return func(o *options) { o.poller = p }
}

// WithStallTime sets how long the oldest record may be reserved and not
// committed before Stalled reports it and a token comes. It must be positive.
func WithStallTime(d time.Duration) Option {
	return func(o *options) { o.stall = d }
}

// WithLinger sets the longest time that the reader looks for more records
// before it goes to sleep, and a loop over Records does not end; [DefaultLinger]
// if it is not given. It is only done while records come in quick succession and
// lingering finds them. A loop that finds little again and again, since it is as
// quick as the producers, lets them get ahead by 5 µs each time. The reader does not
// linger for a while after somebody else needed its processor. 0 turns both off, and
// is the default in a control group of Linux that may use less than two processors, as
// for [notifier.WithLinger].
func WithLinger(ceiling time.Duration) Option {
	return func(o *options) { o.linger = max(ceiling, 0) }
}

// WithSingleProducer promises that the ring has one producer at a time: no two calls
// of notifier_ring_push, notifier_ring_reserve, Push and Reserve overlap, and whoever
// comes after another was told by it, by a mutex, a channel or a join. C's own two may
// also be called by a signal handler that interrupted them. Commit and discard may
// be anybody's. Producers that break the promise lose records, or end the ring with an
// error, and one that is in such a call when the ring is closed may write to memory
// that is not the ring's any more.
//
// In return foreign producers reserve without a locked instruction, about a quarter of
// what a small record costs. It is paid for by the reader, each time that it goes to
// sleep or finds nothing to read, and by Close: they interrupt every running thread of
// the process for a moment, by membarrier(2). A producer that dies in such a call,
// before it has its record, or jumps out of it, keeps the memory of the ring after
// Close; and each such ring takes a page of addresses that never comes back.
//
// It is for Linux on amd64 and arm64. Elsewhere, and where membarrier(2) gives an
// error from the start, it changes nothing; if it gives one later, that ends the ring.
func WithSingleProducer() Option {
	return func(o *options) { o.single = true }
}

// Ring is a fixed block of memory that any thread, known to Go or not, appends
// records to (see Header) and one goroutine drains. A record costs its
// producer no call into Go and no wait; a batch of them wakes the reader once.
// Make one with New; the zero Ring is closed.
//
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
// Wait, Records, ReadInto, Values, Batches and Chan are the reader's: one goroutine
// at a time. A second reader during a loop over records, or in its body, panics. All other
// methods are safe from any goroutine at any time; but if the ring was made
// [WithSingleProducer], Push and Reserve must not overlap with one another, nor with
// a foreign push or reservation.
//
// A Ring keeps its memory until it is closed.
type Ring struct {
	n *notifier.Notifier
	b *block

	bubble    bool // it was made in one
	stallTime time.Duration
	ceiling   time.Duration // of lingering
	lost      atomic.Uint64 // by Go: what Push found no room for, Values, Batches or Chan could not use

	// What follows is the reader's: whoever has iterating set, or mu while it is
	// not set.
	next      uintptr       // position of the next record to look at
	published uintptr       // what consumer must read
	seen      uintptr       // the position, as publish found it
	asleep    time.Duration // since when it sleeps
	window    time.Duration // how long it lingers
	spin      breath.Spin   // lingers not while others want the processor
	penalty   int           // sleeps without lingering, after the next one in vain
	skip      int           // of which this many are left
	stalling  bool          // stall describes the record at next
	scratch   any           // *[]T of Batches
	lastCall  bool          // Wait found its context done, and
	until     uintptr       // the position then

	mu        sync.Mutex
	iterating bool
	ended     atomic.Bool // written under mu
	finished  atomic.Bool // nothing is reserved any more; written under mu
	err       error       // what ended it, if that was not Close
	forget    func()      // the poller's end; under mu

	// stall is about the record at next, while that is reserved.
	stall struct {
		mu     sync.Mutex
		active bool
		at     uintptr // its position
		since  time.Time
		pause  time.Duration // until the timer's next look
		woken  bool          // a token was put in, since it was committed
		told   bool          // a token was put in, since stallTime is over
		waited bool          // and Wait has returned for it
		timer  *time.Timer   // none that a bubble made
		turn   uint64        // which timer counts: 0, or one that a bubble made
		made   uint64        // by bubbles, so far

		watch   *time.Timer // looks at a reader that sleeps; none that a bubble made
		watched bool        // it runs, or a bubble's does
	}

	race raceWord
}

// New returns an empty Ring of size bytes, a power of two from 64 to
// [MaxSize]; a smaller size than a page of memory becomes a page (Cap tells).
// Each record takes its length, rounded up to 8, and 8 more. The memory is
// present from the start: pushing causes no page faults.
//
// It fails for any other size, for a stall time that is not positive, when the system has
// no memory left, when 32,768 rings have memory already, with ErrClosed if the poller is
// closed, and with what broke the poller.
func New(size int, opts ...Option) (*Ring, error) {
	o := options{stall: DefaultStallTime, linger: quota.Linger(DefaultLinger)}
	for _, opt := range opts {
		opt(&o)
	}
	if size < minSize || size > MaxSize || size&(size-1) != 0 {
		return nil, fmt.Errorf("ring: a ring of %d bytes: the size must be a power of two from %d to %d", size, minSize, MaxSize)
	}
	if o.stall <= 0 {
		return nil, fmt.Errorf("ring: a stall time of %v: it must be positive", o.stall)
	}
	n := notifier.New()
	if o.poller != nil {
		var err error
		if n, err = o.poller.New(); err != nil {
			return nil, closing.Renamed(err, ErrClosed)
		}
	}
	b, err := openBlock(size, o.memory, o.single)
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	r := &Ring{n: n, b: b, next: b.start, published: b.start, stallTime: o.stall, ceiling: o.linger, bubble: bubble.In()}
	b.register(r)
	r.watchPoller()
	if _, err := r.settle(); err != nil {
		r.end(err)
		return nil, err
	}
	return r, nil
}

// Handle returns the number that foreign code passes to notifier_ring_push and
// the others of ring.h. It is always the same one for r, and never another
// ring's; it stays harmless for ever. The errors are those of [notifier.Notifier.Handle].
func (r *Ring) Handle() (Handle, error) {
	if r == nil || r.b == nil {
		return 0, ErrClosed
	}
	h, err := r.n.Handle()
	if err != nil {
		if end := r.Err(); end != nil {
			return 0, end
		}
		return 0, err
	}
	// Under the lock: after the end these words may be another ring's.
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended.Load() {
		return 0, r.endErr()
	}
	r.watchPoller()
	r.b.announce(uint64(h))
	r.watchReservations()
	return r.b.handle(), nil
}

// watchPoller has the ring refuse records when its poller ends: the reader would not
// be woken for them. Until there is a handle the default poller is none of the ring's.
// r.mu is held, or r is not known yet.
func (r *Ring) watchPoller() { r.forget = ending.Before(r.n, r.b.cease) }

// C returns the channel to select on. A token says that there are records, as
// far as the last reading had drained the ring; having received it, read until
// there are no more. As with a notifier, one may come for nothing. C is never
// closed.
func (r *Ring) C() <-chan struct{} {
	if r == nil || r.b == nil {
		panic("ring: C of a Ring that was not made by New")
	}
	return r.n.C()
}

// Cap returns the size of the ring in bytes.
func (r *Ring) Cap() int {
	if r == nil || r.b == nil {
		return 0
	}
	return int(r.b.size)
}

// MaxRecord returns the length in bytes of the longest record: half of Cap,
// without the header.
func (r *Ring) MaxRecord() int {
	if r == nil || r.b == nil {
		return 0
	}
	return int(r.b.max)
}

// Len returns how many bytes of the ring are in use: by records, their headers,
// and what the reader is done with and has not given back yet, which is at most
// an eighth of the ring.
func (r *Ring) Len() int {
	if r == nil || r.b == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended.Load() {
		return 0
	}
	// consumer first: position is never behind it.
	consumer := atomic.LoadUintptr(&r.b.c.consumer)
	return int(min((atomic.LoadUintptr(&r.b.c.position)&^closedBit)-consumer, r.b.size))
}

// Lost returns how many records were lost so far: because the ring was full, or
// they were too long; because they were still in the ring when it was closed;
// or because Values, Batches or Chan could not use them. Every record whose push or
// commit reported success is either read or counted here; but after a fault (Err),
// when nobody can tell what is in the ring, what was left there is not.
func (r *Ring) Lost() uint64 {
	if r == nil || r.b == nil {
		return 0
	}
	return r.b.countLost() + r.lost.Load()
}

// Done returns a channel that is closed when no more tokens come: by Close, of the
// ring or of its poller, because all has been read after Finish, or because of a fault.
// Err says which.
func (r *Ring) Done() <-chan struct{} {
	if r == nil || r.b == nil {
		return closing.Done
	}
	return r.n.Done()
}

// Err returns nil while r is open; [io.EOF] when all has been read after Finish; an error
// that matches [os.ErrClosed] after Close; and otherwise what broke: foreign code wrote
// over the ring's memory; the poller stopped, or was closed; or the system refuses a
// single producer's ring its membarrier(2).
func (r *Ring) Err() error {
	if r == nil || r.b == nil {
		return ErrClosed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endErr()
}

func (r *Ring) endErr() error {
	switch {
	case !r.ended.Load():
		return closing.Renamed(r.n.Err(), ErrClosed)
	case r.err != nil:
		return r.err
	default:
		return ErrClosed
	}
}

// Finish says that no more records come. Push and the others return [ErrClosed] from then
// on, notifier_ring_push NOTIFIER_CLOSED, and producers that wait for room stop waiting.
// What is in the ring is still read, also what is reserved by now and committed later;
// then Done is closed and Err is [io.EOF]. A reader that is woken or reads on finds that
// out; so does Finish if there is nothing to read.
//
// Its error is nil; what Err returns if r has ended otherwise; or, outside of the
// testing/synctest bubble that the ring was made in, one that says so: r is finished, and
// the reader was not woken.
func (r *Ring) Finish() error {
	if r == nil || r.b == nil {
		return ErrClosed
	}
	r.mu.Lock()
	if r.ended.Load() {
		defer r.mu.Unlock()
		if r.err == io.EOF {
			return nil
		}
		return r.endErr()
	}
	r.b.cease()
	r.finished.Store(true)
	drained := !r.iterating && !r.reserved()
	r.mu.Unlock()
	if drained {
		r.end(io.EOF)
		return nil
	}
	if err := r.n.Notify(); err != nil && !r.ended.Load() {
		return closing.Renamed(err, ErrClosed)
	}
	return nil
}

// Close ends r: once it has returned no token comes any more, and pushes are
// refused, for ever. Records that were not read are lost, and counted so: read
// first what matters. A Records loop under way ends at its next step. The
// memory goes back to the system when the loop has ended and every producer has
// committed or discarded what it had reserved; after a fault it never does, since
// nobody can tell who still uses it.
//
// Close may be called again, by several goroutines and while others use r. The
// error is nil.
func (r *Ring) Close() error {
	if r != nil && r.b != nil {
		r.end(nil)
	}
	return nil
}

// scribbled reports whether r ended with an error that says nothing good of its memory.
// r.mu is held.
func (r *Ring) scribbled() bool { return r.err != nil && r.err != io.EOF }

// String says which ring this is, for logs.
func (r *Ring) String() string {
	if r == nil || r.b == nil {
		return "Ring(nil)"
	}
	return fmt.Sprintf("Ring(%#x)", uint64(r.b.handle()))
}

func (r *Ring) end(fault error) {
	r.mu.Lock()
	if r.ended.Load() {
		r.mu.Unlock()
		return
	}
	r.err = fault
	r.forget()
	r.ended.Store(true)
	r.b.shut()
	// Before the memory can go, which the timer looks at.
	r.stall.mu.Lock()
	r.stall.active = false
	if r.stall.timer != nil {
		r.stall.timer.Stop()
	}
	if r.stall.watch != nil {
		r.stall.watch.Stop()
	}
	r.stall.mu.Unlock()
	_ = r.n.Close()
	if !r.iterating {
		r.b.abandon(r.next, r.scribbled())
	}
	r.mu.Unlock() // now, so that a second Close returns no earlier
}

var errOverwritten = errors.New("ring: foreign code wrote over a ring's control block")
