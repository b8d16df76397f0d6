package ring

// This file holds what an Out does with a goroutine as its reader: calls and their
// answers, order, full and empty, waiting, the end, and memory that was written over.
// Foreign readers are in outforeign_test.go.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/hostout"
	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
)

func newOut(t testing.TB, size int, opts ...Option) *Out {
	t.Helper()
	o, err := NewOut(size, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func outHandle(t testing.TB, o *Out) uint64 {
	t.Helper()
	h, err := o.Handle()
	require.NoError(t, err)
	return uint64(h)
}

// readOut returns the next record by one of the two ways; nil if there is none.
func readOut(o *Out, peek bool) []byte {
	if peek {
		rec := bytes.Clone(o.peek())
		o.b.done()
		return rec
	}
	buf := make([]byte, o.b.max)
	return buf[:o.readInto(buf)]
}

// eachOutMemory runs a test for every kind of memory, with walls where there are some.
func eachOutMemory(t *testing.T, test func(t *testing.T, memory Option)) {
	page := uintptr(os.Getpagesize())
	for _, m := range append(walled(t), backings...) {
		p, mirrored, err := m.data(page)
		if err != nil {
			t.Logf("%T is not to be had here: %v", m, err)
			continue
		}
		m.free(p, page, mirrored)
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) { test(t, withMemory(m)) })
	}
}

func TestOutRecordsOfEverySizeAtEveryOffset(t *testing.T) {
	eachOutMemory(t, func(t *testing.T, memory Option) {
		o := newOut(t, 4096, memory)
		most := o.Cap()/2 - 8
		for number, n := range []int{1, 7, 8, 9, 15, 16, 17, 100, 1000, most - 1, most} {
			for first := range 3 * o.Cap() / 16 { // twice round, and each offset
				want := numbered(n, number)
				require.NoError(t, o.Write(want))
				require.GreaterOrEqual(t, o.Len(), 8+n)
				require.Zero(t, o.Len()%8)
				require.Equal(t, want, readOut(o, first%2 == 0), "%d bytes", n)
				require.Zero(t, o.Len())
				require.Empty(t, readOut(o, first%2 == 0))
				if n > 8 && n < most { // the offset moves by 16 only
					require.NoError(t, o.Write(want[:8]))
					require.Equal(t, want[:8], readOut(o, false))
				}
			}
		}
		require.Equal(t, ErrTooLarge, o.Write(make([]byte, most+1)))
		require.ErrorIs(t, o.Write(nil), os.ErrInvalid)
		require.ErrorIs(t, o.WriteWait(t.Context(), []byte{}), os.ErrInvalid)
		require.Equal(t, ErrTooLarge, o.WriteWait(t.Context(), make([]byte, most+1)))
		require.Zero(t, o.Len())
	})
}

func TestOutSizes(t *testing.T) {
	sizes := []int{-1, 0, 1, 32, 65, 4095, 4097, MaxSize + 1}
	if twice := int64(MaxSize) * 2; int64(int(twice)) == twice { // not on 32 bits
		sizes = append(sizes, int(twice))
	}
	for _, size := range sizes {
		_, err := NewOut(size)
		require.ErrorContains(t, err, "power of two", "%d", size)
	}
	require.Equal(t, os.Getpagesize(), newOut(t, 64).Cap())
	require.Equal(t, 1<<17, newOut(t, 1<<17, WithSingleProducer(), WithLinger(time.Second)).Cap(), "options are ignored")
}

// A buffer that is too small: the length is told, and the record stays, whole.
func TestOutShortBuffer(t *testing.T) {
	o := newOut(t, 4096)
	rec := numbered(100, 1)
	require.NoError(t, o.Write(rec))
	for cap := range 100 {
		buf := make([]byte, cap)
		require.Equal(t, 100, o.readInto(buf))
		require.Equal(t, make([]byte, cap), buf, "it was written to")
	}
	buf := make([]byte, 100)
	require.Equal(t, 100, o.readInto(buf))
	require.Equal(t, rec, buf)
	require.Zero(t, o.readInto(buf))
}

func TestOutFull(t *testing.T) {
	for _, n := range []int{1, 8, 100, 2040} {
		o := newOut(t, 4096)
		for round := range 5 {
			written := 0
			for ; o.Write(numbered(n, written)) == nil; written++ {
				require.Less(t, written, o.Cap())
			}
			require.Equal(t, ErrFull, o.Write(numbered(n, written)))
			require.Greater(t, o.Len(), o.Cap()/2)
			require.LessOrEqual(t, o.Len(), o.Cap())
			if round == 0 {
				gaps := 1 // at the end of the memory
				if o.b.mirrored {
					gaps = 0
				}
				require.InDelta(t, o.Cap()/int(spanOf(uintptr(n))), written, float64(gaps))
			}
			for i := range written {
				require.Equal(t, numbered(n, i), readOut(o, i%2 == 0))
				if i == 0 {
					require.Less(t, o.Len(), o.Cap())
				}
			}
			require.Empty(t, readOut(o, false))
		}
	}
}

func TestOutPeek(t *testing.T) {
	o := newOut(t, 4096)
	require.NoError(t, o.Write([]byte("first")))
	require.NoError(t, o.Write([]byte("second")))
	o.b.done() // without a peek: nothing
	first := o.peek()
	require.Equal(t, "first", string(first))
	require.Zero(t, uintptr(unsafe.Pointer(&first[0]))%8)
	require.Zero(t, o.readInto(make([]byte, 10)), "its record is held")
	require.Same(t, &first[0], &o.peek()[0], "again")
	for o.Write(numbered(100, 1)) == nil {
	}
	require.Equal(t, "first", string(first), "it stays as it is")
	o.b.done()
	o.b.done() // a second one: nothing
	require.Equal(t, "second", string(readOut(o, false)))
}

// A thread that died in done, after the exchange, leaves held as it was: reading goes on.
func TestOutHeldIsForOneRecord(t *testing.T) {
	o := newOut(t, 4096)
	require.NoError(t, o.Write([]byte("first")))
	require.NoError(t, o.Write([]byte("second")))
	require.NotEmpty(t, o.peek())
	first := atomic.LoadUintptr(&o.b.c.consumer)
	require.True(t, o.b.takeAt(first, 5))
	require.False(t, o.b.takeAt(first, 5), "it was taken")
	o.b.done() // of the first
	require.Equal(t, "second", string(readOut(o, false)))
	require.NoError(t, o.Write([]byte("third")))
	require.Equal(t, "third", string(readOut(o, true)))
	require.Zero(t, atomic.LoadUintptr(&o.b.c.held))
}

func TestOutNil(t *testing.T) {
	for _, o := range []*Out{nil, {}} {
		require.Equal(t, ErrClosed, o.Write([]byte("x")))
		require.Equal(t, ErrClosed, o.WriteWait(t.Context(), []byte("x")))
		_, err := o.Handle()
		require.Equal(t, ErrClosed, err)
		require.Zero(t, o.Len())
		require.Zero(t, o.Cap())
		require.NoError(t, o.Close())
	}
}

func TestOutClose(t *testing.T) {
	o := newOut(t, 4096)
	h := outHandle(t, o)
	require.Equal(t, h, outHandle(t, o))
	require.Nil(t, Handle(h).Ring())
	require.NotEqual(t, h, outHandle(t, newOut(t, 4096)))
	require.NoError(t, o.Write([]byte("unread")))
	require.NoError(t, o.Close())
	require.NotZero(t, atomic.LoadUintptr(&o.b.c.consumer)&closedBit)
	require.Equal(t, o.b.generation+1, atomic.LoadUint32(&o.b.c.generation))
	require.Nil(t, outOf(h))
	outs.mu.Lock()
	idle := len(outs.idle)
	outs.mu.Unlock()
	require.NoError(t, o.Close())
	outs.mu.Lock()
	again := len(outs.idle)
	outs.mu.Unlock()
	require.Equal(t, idle, again, "it is given back once")
	require.Equal(t, ErrClosed, o.Write([]byte("x")))
	require.Equal(t, ErrClosed, o.WriteWait(t.Context(), []byte("x")))
	require.ErrorIs(t, o.Write(nil), os.ErrClosed)
	_, err := o.Handle()
	require.Equal(t, ErrClosed, err)
	require.Zero(t, o.Len())
	require.Equal(t, 4096, min(o.Cap(), 4096))
	require.Zero(t, hostout.Read(h, nil), "it was dropped")
}

// inLimbo tells whether the memory of a closed Out is kept for a reader.
func inLimbo(o *Out) bool {
	sweepOuts()
	outs.mu.Lock()
	defer outs.mu.Unlock()
	for _, b := range outs.limbo {
		if b == o.b {
			return true
		}
	}
	return false
}

// What is peeked at stays there until done, also after Close; so does what a reader in
// the middle of a call uses.
func TestOutCloseKeepsWhatIsInUse(t *testing.T) {
	eachOutMemory(t, func(t *testing.T, memory Option) {
		o := newOut(t, 4096, memory)
		h := outHandle(t, o)
		require.NoError(t, o.Write([]byte("first")))
		rec := hostout.Peek(h)
		require.NoError(t, o.Close())
		require.True(t, inLimbo(o))
		require.NoError(t, newOut(t, 4096, memory).Write([]byte("other")))
		require.Equal(t, "first", string(rec))
		require.Nil(t, hostout.Peek(h))
		require.True(t, inLimbo(o))
		hostout.Done(h)
		require.False(t, inLimbo(o))
		hostout.Done(h) // late: nothing

		o = newOut(t, 4096, memory)
		atomic.AddUint32(&o.b.c.inside, 1)
		require.NoError(t, o.Close())
		require.True(t, inLimbo(o))
		atomic.AddUint32(&o.b.c.inside, ^uint32(0))
		require.False(t, inLimbo(o))
	})
}

// A late done is not taken for one of the next Out that has the control block.
func TestOutLateDone(t *testing.T) {
	var before *Out
	for range 5 {
		o := newOut(t, 4096)
		if before != nil {
			require.Same(t, before.b.c, o.b.c, "the control block comes again")
			require.Greater(t, o.b.start, before.b.end, "and no position")
			require.NoError(t, o.Write([]byte("held")))
			require.NotEmpty(t, o.peek())
			before.b.done()
			require.NotZero(t, atomic.LoadUintptr(&o.b.c.held))
			require.Equal(t, 0, before.readInto(make([]byte, 8)))
			require.Empty(t, before.peek())
			o.b.done()
		}
		outs.mu.Lock()
		idle := outs.idle
		outs.idle = nil
		outs.mu.Unlock()
		require.NoError(t, o.Close())
		t.Cleanup(func() {
			outs.mu.Lock()
			defer outs.mu.Unlock()
			outs.idle = append(outs.idle, idle...)
		})
		before = o
	}
}

// The last generation is the last Out of its control block.
func TestOutLastGeneration(t *testing.T) {
	outs.mu.Lock()
	before := outs.idle
	outs.idle = nil
	outs.mu.Unlock()
	defer func() {
		outs.mu.Lock()
		defer outs.mu.Unlock()
		outs.idle = append(outs.idle, before...)
	}()
	o := newOut(t, 4096)
	require.NoError(t, o.Close())
	outs.mu.Lock()
	require.Len(t, outs.idle, 1)
	outs.idle[0].generation = generationMask - 1
	outs.mu.Unlock()
	last := newOut(t, 4096)
	require.Same(t, o.b.c, last.b.c)
	require.NoError(t, last.Write([]byte("x")))
	require.Equal(t, "x", string(readOut(last, false)))
	require.NoError(t, last.Close())
	require.Empty(t, outs.idle)
}

// A reader that is where memory is that somebody wrote over finds nothing, and the
// writer says so; nothing outside of the data is touched.
func TestOutScribbled(t *testing.T) {
	changes := map[string]func(c *outControl, o *Out){
		"magic":            func(c *outControl, _ *Out) { c.magic++ },
		"abi":              func(c *outControl, _ *Out) { c.abi++ },
		"generation":       func(c *outControl, _ *Out) { c.generation++ },
		"size":             func(c *outControl, _ *Out) { c.size *= 2 },
		"max":              func(c *outControl, _ *Out) { c.max *= 2 },
		"data":             func(c *outControl, _ *Out) { c.data += 8 },
		"pid":              func(c *outControl, _ *Out) { c.pid++ },
		"position":         func(c *outControl, _ *Out) { c.position += 8 },
		"position, back":   func(c *outControl, _ *Out) { c.position -= 8 },
		"consumer, far":    func(c *outControl, _ *Out) { c.consumer += 1 << 20 },
		"consumer, ahead":  func(c *outControl, o *Out) { c.consumer = o.position + 8 },
		"consumer, back":   func(c *outControl, _ *Out) { c.consumer -= 8 },
		"consumer, odd":    func(c *outControl, _ *Out) { c.consumer++ },
		"consumer, inside": func(c *outControl, _ *Out) { c.consumer += 8 },
		"a tag":            func(c *outControl, o *Out) { *tagOf(o.b.at(c.consumer)) ^= 1 },
	}
	if nativeSize == 8 { // its tag is right
		far := uintptr(uint64(1) << (8 * nativeSize / 2))
		changes["consumer, 4 GiB ahead"] = func(c *outControl, _ *Out) { c.consumer += far }
	}
	eachOutMemory(t, func(t *testing.T, memory Option) {
		for name, change := range changes {
			t.Run(name, func(t *testing.T) {
				o := newOut(t, 4096, memory)
				h := outHandle(t, o)
				for range 3 {
					require.NoError(t, o.Write(numbered(64, 1)))
				}
				require.NotEmpty(t, readOut(o, false))
				_ = o.Len() // where the reader is
				change(o.b.c, o)
				_ = o.readInto(make([]byte, 4096)) // whatever it gives
				_ = o.peek()
				var err error
				for range o.Cap() {
					if err = o.Write(numbered(64, 2)); err != nil && err != ErrFull {
						break
					}
				}
				require.ErrorIs(t, err, errOutOverwritten)
				require.Equal(t, err, o.Write([]byte("x")), "from then on")
				require.Equal(t, err, o.WriteWait(t.Context(), []byte("x")))
				_, same := o.Handle()
				require.Equal(t, err, same)
				require.Zero(t, o.Len())
				require.Zero(t, hostout.Read(h, nil))
				require.NoError(t, o.Close())
				require.Equal(t, err, o.Write([]byte("x")))
				require.False(t, inLimbo(o), "nobody can tell who uses it: it stays")
			})
		}
	})
}

// A length that somebody wrote over has no reader leave the data.
func TestOutScribbledLengths(t *testing.T) {
	eachOutMemory(t, func(t *testing.T, memory Option) {
		most := newOut(t, 4096, memory).b.max
		for _, state := range []uint32{0, uint32(most) + 1, 2*uint32(most) + 2*headerSize, 1 << 20, 0x7fffffff, outPadding, outPadding | 8, outPadding | 0x7fffffff, 0xffffffff} {
			o := newOut(t, 4096, memory)
			require.NoError(t, o.Write(numbered(2000, 1)))
			require.NotEmpty(t, readOut(o, false)) // not at the beginning
			require.NoError(t, o.Write(numbered(64, 1)))
			at := o.b.c.consumer
			atomic.StoreUint32(stateOf(o.b.at(at)), state)
			require.Zero(t, o.readInto(make([]byte, 1<<16)))
			require.Empty(t, o.peek())
			require.Equal(t, at, o.b.c.consumer, "%#x", state)
			o.b.done()
			require.Zero(t, o.readInto(make([]byte, 1<<16)))
		}
	})
}

// A record that is not all there yet, or whose tag somebody wrote over, is none.
func TestOutUnfinished(t *testing.T) {
	o := newOut(t, 4096)
	require.NoError(t, o.Write([]byte("first")))
	h := o.b.put(o.position, 6)
	require.Equal(t, "first", string(readOut(o, false)))
	require.Zero(t, o.readInto(make([]byte, 8)))
	require.Empty(t, o.peek())
	require.NoError(t, o.Write([]byte("second")))
	atomic.AddUint32(tagOf(h), 8)
	require.Zero(t, o.readInto(make([]byte, 8)))
	require.Empty(t, o.peek())
	atomic.AddUint32(tagOf(h), ^uint32(7))
	require.Equal(t, "second", string(readOut(o, true)))
}

// Without memory there is no Out, and nothing is left.
func TestOutNoMemory(t *testing.T) {
	outs.mu.Lock()
	before := outs.idle
	outs.idle = nil // so that a control block is to be made
	outs.mu.Unlock()
	defer func() {
		outs.mu.Lock()
		defer outs.mu.Unlock()
		outs.idle = append(outs.idle, before...)
	}()
	for _, m := range []*failingMemory{{noData: true}, {noControl: true}, {high: true}} {
		m.backing = backings[len(backings)-1]
		_, err := NewOut(4096, withMemory(m))
		require.Error(t, err)
		require.Zero(t, m.held)
	}
}

type failingMemory struct {
	backing
	noData, noControl, high bool
	held                    int
}

func (m *failingMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	if m.noData {
		return nil, false, errors.New("no data")
	}
	m.held++
	return m.backing.data(size)
}

func (m *failingMemory) free(p unsafe.Pointer, size uintptr, mirrored bool) {
	m.held--
	m.backing.free(p, size, mirrored)
}

func (m *failingMemory) control() (*control, uint32, error) {
	if m.noControl {
		return nil, 0, errors.New("no control block")
	}
	c, pid, err := m.backing.control()
	if m.high {
		c = (*control)(unsafe.Add(unsafe.Pointer(c), 8)) // not at a multiple of 4096
	}
	return c, pid, err
}

// Goroutines write, each waiting for room, and one reads.
func TestOutManyWriters(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			const writers = 4
			count := testenv.Times(20_000) / writers
			o := newOut(t, 4096)
			var all sync.WaitGroup
			for id := range writers {
				all.Go(func() {
					for number := range count {
						rec := make([]byte, ringforeign.Smallest+(number*7+id)%300)
						ringforeign.Fill(rec, uint32(id), uint64(number))
						assert.NoError(t, o.WriteWait(patience(t), rec))
					}
				})
			}
			var next [writers]uint64
			for total := 0; total < writers*count; {
				rec := readOut(o, total%2 == 0)
				if len(rec) == 0 {
					runtime.Gosched()
					continue
				}
				r, err := ringforeign.Check(rec)
				require.NoError(t, err)
				require.Equal(t, next[r.ID], r.Number)
				next[r.ID]++
				total++
			}
			all.Wait()
			require.Zero(t, o.Len())
		})
	}
}

// waiters waits until so many WriteWaits wait.
func waiters(t testing.TB, o *Out, n int) {
	t.Helper()
	for ctx := patience(t); ; runtime.Gosched() {
		o.mu.Lock()
		there := len(o.waiting)
		o.mu.Unlock()
		if there == n {
			return
		}
		require.NoError(t, ctx.Err(), "%d wait instead of %d", there, n)
	}
}

func fill(t testing.TB, o *Out) (n int) {
	t.Helper()
	for ; o.Write(numbered(100, 0)) == nil; n++ {
		require.Less(t, n, o.Cap())
	}
	return n
}

// Who waits gets room in its turn, and the others too.
func TestOutWaitersTakeTurns(t *testing.T) {
	o := newOut(t, 4096)
	full := fill(t, o)
	const many = 64
	done := make(chan error, many)
	for i := range many {
		go func() { done <- o.WriteWait(patience(t), []byte{byte(i), 99: 0}) }()
		waiters(t, o, i+1)
	}
	o.mu.Lock()
	for range full {
		require.NotEmpty(t, o.peek())
		o.b.done()
	}
	late := make(chan error, 1)
	go func() { late <- o.WriteWait(patience(t), []byte{many, 99: 0}) }() // there is room, but others came before
	o.mu.Unlock()
	for i := range many + 1 {
		var rec []byte
		for ctx := patience(t); len(rec) == 0; rec = readOut(o, false) {
			require.NoError(t, ctx.Err())
			runtime.Gosched()
		}
		require.Equal(t, byte(i), rec[0])
	}
	for range many {
		require.NoError(t, <-done)
	}
	require.NoError(t, <-late)
	waiters(t, o, 0)
}

func TestOutWriteWaitEnds(t *testing.T) {
	o := newOut(t, 4096)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.NoError(t, o.WriteWait(ctx, []byte("there is room")))
	require.NotEmpty(t, readOut(o, false))
	fill(t, o)
	require.Equal(t, cause, o.WriteWait(ctx, numbered(100, 1)))

	done := make(chan error, 3)
	for i := range cap(done) {
		go func() { done <- o.WriteWait(patience(t), numbered(100, 1)) }()
		waiters(t, o, i+1)
	}
	require.NoError(t, o.Close())
	for range cap(done) {
		require.Equal(t, ErrClosed, <-done)
	}
	waiters(t, o, 0)
}

// A bubble's clock serves, and its channels are touched by nobody outside.
func TestOutInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOut(t, 4096)
		full := fill(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, o.WriteWait(ctx, numbered(100, 1)), context.DeadlineExceeded)
		done := make(chan error, 2)
		for range cap(done) {
			go func() { done <- o.WriteWait(t.Context(), numbered(100, 1)) }()
		}
		synctest.Wait()
		for range full {
			require.NotEmpty(t, readOut(o, false))
		}
		before := time.Now()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.LessOrEqual(t, time.Since(before), 2*outPauseMost)
	})
	o := newOut(t, 4096)
	fill(t, o)
	inside := make(chan error, 1)
	go func() {
		// The bubble is over when its goroutine has got room.
		synctest.Test(t, func(t *testing.T) { inside <- o.WriteWait(context.Background(), numbered(100, 1)) })
	}()
	waiters(t, o, 1)
	o.wake()
	require.NotEmpty(t, readOut(o, false))
	require.NoError(t, <-inside)
}

// Close while a reader reads: it has a whole record, or none.
func TestOutCloseWhileItIsRead(t *testing.T) {
	for round := range testenv.Repeats(200) {
		o := newOut(t, 4096)
		started, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			close(started)
			for !o.closed() {
				rec := readOut(o, round%2 == 0)
				if len(rec) == 0 {
					runtime.Gosched() // wasm has one thread, and does not preempt
					continue
				}
				if _, err := ringforeign.Check(rec); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
		<-started
		for number := range uint64(round) {
			rec := make([]byte, 100)
			ringforeign.Fill(rec, 1, number)
			require.NoError(t, o.WriteWait(patience(t), rec))
		}
		require.NoError(t, o.Close())
		require.NoError(t, <-ended)
		require.False(t, inLimbo(o))
	}
}

func (o *Out) closed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err != nil
}

func TestOutString(t *testing.T) {
	assert.Equal(t, "Out(nil)", (*Out)(nil).String())
	o, err := NewOut(4096)
	require.NoError(t, err)
	defer o.Close()
	h, err := o.Handle()
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("Out(%#x)", uint64(h)), o.String())
}
