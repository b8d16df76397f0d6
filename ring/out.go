package ring

// This file holds the Out: records from Go to a foreign thread that must not wait.
// Its protocol, and the writer's half of it. The reader's half is ring.h for foreign
// code, and outreader.go, its twin, for hosts of WASI guests. How the memory comes,
// ends and comes again is outblock.go.
//
// # The protocol
//
// Positions are those of a Ring: they count bytes, only grow, and are multiples of
// 8. Two of them say what memory is whose:
//
//	consumer <= position <= consumer + size
//
//	[consumer, position)          records, the reader's
//	[position, consumer + size)   the writer's
//
// position: p -> p + n, by the writer, whoever has mu, after it wrote the record:
// a release.
//
// consumer: where the next record to be read is.
//
//	p -> p + n     a reader, by compare-and-swap, after it copied the record
//	p -> p | 1     Close, by fetch-or: nothing is read any more
//	p | 1 -> q     open, in the time of the next Out that has this control block
//
// A reader loads consumer first and exchanges it last, and no value comes again. If
// the exchange succeeds, nobody else took the record and the writer did not get its
// memory: the copy is whole. If not, the copy is thrown away. So a reader may be
// interrupted by a signal handler that reads, or die, at any instruction.
//
// held: 0, or a position plus 1 that was peeked at. Its record is read by done
// only.
//
//	h -> p | 1     peek, which then looks at consumer once more
//	p | 1 -> 0     done; and peek, which found consumer changed
//
// inside: how many calls use the data. Close makes consumer odd and then looks at
// inside and held; a call writes one of them and then looks at consumer. All four are
// sequentially consistent, so one sees the other: either the call gives up, or the
// data stays mapped until it has ended.
//
// # Waiting for room
//
// The reader tells nobody what it has read: a real-time thread makes no system call.
// So WriteWait looks by itself, at first after outPauseLeast, then at most every
// outPauseMost.
//
// # Nothing is believed
//
// The writer keeps position and the sizes to itself. What it reads in the memory are
// consumer, which must lie between the last one and position, at a header that has its
// tag, and the words that never change, which must be as they were written.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/internal/bubble"
)

// How long WriteWait sleeps between two looks for room.
const (
	outPauseLeast = 50 * time.Microsecond
	outPauseMost  = time.Millisecond
)

var (
	errEmptyRecord    = fmt.Errorf("ring: an empty record cannot be told from none by who reads it: %w", os.ErrInvalid)
	errOutOverwritten = errors.New("ring: foreign code wrote over the memory of an Out")
)

// Out brings records from Go to a foreign thread that must not wait, such as an audio
// callback: goroutines write, and the thread reads with notifier_out_read of ring.h
// (see [Header]), which is wait-free. Make one with [NewOut]; the zero Out is closed.
//
//	o, err := ring.NewOut(1 << 16)    // bytes
//	defer o.Close()
//	h, err := o.Handle()              // a number, for foreign code
//	C.start_audio(C.uint64_t(h))      // its callback calls notifier_out_read(h, …)
//	for {
//		synthesise(block)
//		if err := o.WriteWait(ctx, block); err != nil {
//			return err
//		}
//	}
//
// All methods are safe from any goroutine at any time. An Out has one reader at a
// time; ring.h says what more is allowed. An Out keeps its memory until it is closed.
type Out struct {
	b *outBlock

	mu       sync.Mutex
	position uintptr // where the next record will be
	read     uintptr // consumer, as it was seen last
	err      error   // why it has ended
	waiting  []*outWaiter
}

// outWaiter is a WriteWait that found no room.
type outWaiter struct {
	turn    chan struct{} // it should look now
	bubbled bool          // turn is a synctest bubble's
}

// NewOut returns an empty Out of size bytes, a power of two from 64 to [MaxSize]; a
// smaller size than a page of memory becomes a page (Cap tells). Each record takes
// its length, rounded up to 8, and 8 more. The memory is present from the start:
// reading causes no page faults.
//
// It fails for any other size, and when the system has no memory left. None of the
// options says anything about an Out: they are ignored.
func NewOut(size int, opts ...Option) (*Out, error) {
	var set options
	for _, opt := range opts {
		opt(&set)
	}
	if size < minSize || size > MaxSize || size&(size-1) != 0 {
		return nil, fmt.Errorf("ring: an Out of %d bytes: the size must be a power of two from %d to %d", size, minSize, MaxSize)
	}
	b, err := openOut(size, set.memory)
	if err != nil {
		return nil, err
	}
	o := &Out{b: b, position: b.start, read: b.start}
	b.register(o)
	return o, nil
}

// Handle returns the number that foreign code passes to notifier_out_read and the
// others of ring.h. It is always the same one for o, and never another's; it stays
// harmless for ever. The error is that of Write after the end. The number's method
// Ring returns nil.
func (o *Out) Handle() (Handle, error) {
	if o == nil || o.b == nil {
		return 0, ErrClosed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	return o.b.handle(), nil
}

// Write appends a copy of rec. It never waits for the reader. The error is [ErrFull]
// when there is no room; [ErrTooLarge] for a record longer than half of Cap, less 8
// bytes; one that matches [os.ErrInvalid] for an empty record, which the reader could
// not tell from none; [ErrClosed] after Close; and one that says so, then and from then
// on, when foreign code wrote over the memory.
//
// What the caller did before is visible to the thread that reads the record.
// Concurrent calls append in some order.
func (o *Out) Write(rec []byte) error {
	if o == nil || o.b == nil {
		return ErrClosed
	}
	o.mu.Lock()
	defer o.mu.Unlock() // also if rec is memory that faults
	return o.write(rec)
}

// WriteWait is Write, but waits while there is no room, until ctx ends: then the
// error is the cause of that. Those who wait get room in the order in which they
// came; a Write in between may take it first.
//
// The reader tells nobody that it has read. So WriteWait looks by itself, after 50 µs
// at first and then at most every millisecond. The Out should have room for the
// records of some milliseconds, or the reader will find none.
func (o *Out) WriteWait(ctx context.Context, rec []byte) error {
	w, err := o.enqueue(rec)
	if w == nil {
		return err
	}
	defer o.leave(w)
	timer := time.NewTimer(outPauseLeast)
	defer timer.Stop()
	for pause := outPauseLeast; ; {
		select {
		case <-w.turn:
		case <-timer.C:
			pause = min(2*pause, outPauseMost)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := o.retry(w, rec); err != ErrFull {
			return err
		}
		timer.Reset(pause)
	}
}

// enqueue writes rec if it can at once, and returns a place among those who wait if it
// has to.
func (o *Out) enqueue(rec []byte) (*outWaiter, error) {
	if o == nil || o.b == nil {
		return nil, ErrClosed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		if err := o.write(rec); err != ErrFull {
			return nil, err
		}
	}
	w := &outWaiter{turn: make(chan struct{}, 1), bubbled: bubble.In()}
	o.waiting = append(o.waiting, w)
	return w, nil
}

// retry writes rec if there is room and it is w's turn.
func (o *Out) retry(w *outWaiter, rec []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil && o.waiting[0] != w {
		return ErrFull
	}
	return o.write(rec)
}

// leave ends w's waiting, and has the next one look: there may be room for more than
// one record.
func (o *Out) leave(w *outWaiter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, other := range o.waiting {
		if other == w {
			o.waiting = append(o.waiting[:i:i], o.waiting[i+1:]...)
			break
		}
	}
	o.nudge()
}

// nudge has the first of those who wait look. Under mu. Nobody may touch a bubble's
// channel from outside: who waits in one looks when its time is over.
func (o *Out) nudge() {
	if len(o.waiting) == 0 || o.waiting[0].bubbled {
		return
	}
	select {
	case o.waiting[0].turn <- struct{}{}:
	default:
	}
}

// write is Write, under mu.
func (o *Out) write(rec []byte) error {
	b, n := o.b, uintptr(len(rec))
	switch {
	case o.err != nil:
		return o.err
	case !b.intact() || atomic.LoadUintptr(&b.c.position) != o.position:
		return o.end(errOutOverwritten)
	case n == 0:
		return errEmptyRecord
	case n > b.max:
		return ErrTooLarge
	}
	span, pad := spanOf(n), uintptr(0)
	if rest := b.size - b.offset(o.position); span > rest {
		pad = rest
	}
	if pad+span > b.size-(o.position-o.read) {
		if err := o.look(); err != nil {
			return o.end(err)
		}
		if pad+span > b.size-(o.position-o.read) {
			return ErrFull
		}
	}
	at := o.position
	if pad != 0 {
		b.put(at, outPadding|uint32(pad-headerSize))
		at += pad
	}
	h := b.put(at, uint32(n))
	copy(unsafe.Slice((*byte)(unsafe.Add(h, headerSize)), n), rec)
	o.position = at + span
	atomic.StoreUintptr(&b.c.position, o.position)
	return nil
}

// look finds out how far the reader is. Under mu.
func (o *Out) look() error {
	at := atomic.LoadUintptr(&o.b.c.consumer)
	if at&positionMask != 0 || at-o.read > o.position-o.read {
		return fmt.Errorf("%w: consumer is %#x, after %#x, and position %#x", errOutOverwritten, at, o.read, o.position)
	}
	if at != o.position {
		if tag := atomic.LoadUint32(tagOf(o.b.at(at))); tag != outTagAt(at) {
			return fmt.Errorf("%w: the tag at %#x is %#x", errOutOverwritten, at, tag)
		}
	}
	o.read = at
	return nil
}

// Cap returns the size of the Out in bytes.
func (o *Out) Cap() int {
	if o == nil || o.b == nil {
		return 0
	}
	return int(o.b.size)
}

// Len returns how many bytes of the Out are in use: by records that were not read, and
// their headers. It is 0 if and only if all were read, or o has ended.
func (o *Out) Len() int {
	if o == nil || o.b == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0
	}
	if err := o.look(); err != nil {
		_ = o.end(err)
		return 0
	}
	return int(o.position - o.read)
}

// Close ends o: when it has returned, the reader finds nothing any more, for ever, and
// those who write or wait to write get [ErrClosed]. Records that were not read are
// dropped: to have them read, wait until Len is 0 before. Close does not wait for a
// reader in the middle of a call: that still has the record, or none. The memory goes
// back to the system when the reader is in no call and holds no record, at the latest
// with the next [NewOut] or Close after that.
//
// Close may be called again, by several goroutines and while others use o. The error
// is nil.
func (o *Out) Close() error {
	if o != nil && o.b != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			_ = o.end(ErrClosed)
		}
	}
	return nil
}

// end ends o with err, which it returns. Under mu.
func (o *Out) end(err error) error {
	o.err = err
	o.b.close(o.position, err != ErrClosed)
	o.nudge() // and each of them the next one, when it leaves
	return err
}

// String says which Out this is, for logs.
func (o *Out) String() string {
	if o == nil || o.b == nil {
		return "Out(nil)"
	}
	return fmt.Sprintf("Out(%#x)", uint64(o.b.handle()))
}
