package ring

// This file holds producers that wait for room, goroutines and C threads, and the end of
// a stream.

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

// fillUp pushes until there is no room, without a loss.
func fillUp(t *testing.T, r *Ring, n int) (pushed int) {
	t.Helper()
	for {
		h, err := r.reserve(n, urgent)
		if err == ErrFull {
			return pushed
		}
		require.NoError(t, err)
		require.NoError(t, r.finish(h, stateReady|uint32(n)))
		pushed++
	}
}

// waits returns when somebody waits for room.
func waits(t *testing.T, r *Ring) {
	t.Helper()
	for ctx := patience(t); atomic.LoadUint32(&r.b.c.waiting)&askedBit == 0; runtime.Gosched() {
		require.NoError(t, context.Cause(ctx))
	}
}

func TestRingPushWait(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		mine := errors.New("mine")
		ctx, cancel := context.WithCancelCause(t.Context())
		require.NoError(t, r.PushWait(ctx, []byte("first")))
		require.Equal(t, [][]byte{[]byte("first")}, recordsOf(r))
		require.Equal(t, ErrTooLarge, r.PushWait(ctx, make([]byte, r.MaxRecord()+1)))
		n := fillUp(t, r, 24)

		done := make(chan error, 1)
		go func() { done <- r.PushWait(ctx, numbered(24, 7)) }()
		synctest.Wait()
		require.Empty(t, done)
		all := recordsOf(r) // the last one with them, if it was quick
		require.NoError(t, <-done)
		all = append(all, recordsOf(r)...)
		require.Len(t, all, n+1)
		require.Equal(t, numbered(24, 7), all[n])

		fillUp(t, r, 24)
		go func() { done <- r.PushWait(ctx, numbered(24, 8)) }()
		synctest.Wait()
		cancel(mine)
		require.Equal(t, mine, <-done)
		require.Equal(t, mine, r.PushWait(ctx, numbered(24, 8)))
		require.Zero(t, atomic.LoadUint32(&r.b.c.owner), "who gave up has left")
		require.Equal(t, atomic.LoadUint32(&r.b.c.queue), atomic.LoadUint32(&r.b.c.turn))
		_, err := r.ReadInto(make([]byte, 24))
		require.NoError(t, err)
		require.Zero(t, r.Lost(), "a refusal is no loss")
		recordsOf(r)
		require.NoError(t, r.PushWait(ctx, numbered(24, 8)), "there is room, whatever else is true")

		fillUp(t, r, 0)
		go func() { done <- r.PushWait(t.Context(), nil) }()
		synctest.Wait()
		require.NoError(t, r.Close())
		require.Equal(t, ErrClosed, <-done)
		require.Equal(t, ErrClosed, r.PushWait(t.Context(), nil))

		r = ring(t, 4096)
		fillUp(t, r, 0)
		var none context.Context
		require.Panics(t, func() { _ = r.PushWait(none, nil) })
		require.Equal(t, atomic.LoadUint32(&r.b.c.turn), atomic.LoadUint32(&r.b.c.queue), "it is not in the queue")
	})
	require.Equal(t, ErrClosed, (*Ring)(nil).PushWait(t.Context(), nil))
}

// Outside of the ring's bubble there is nothing to wait for.
func TestRingPushWaitElsewhere(t *testing.T) {
	outside, err := New(4096)
	require.NoError(t, err)
	defer outside.Close()
	fillUp(t, outside, 0)
	synctest.Test(t, func(t *testing.T) {
		require.ErrorContains(t, outside.PushWait(t.Context(), nil), "bubble")
	})
}

// The end of a stream: what is there is read, what is reserved is waited for.
func TestRingFinish(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		require.NoError(t, r.Push([]byte("first")))
		rec, err := r.Reserve(4)
		require.NoError(t, err)
		require.NoError(t, r.Push([]byte("third")))
		<-r.C()
		require.NoError(t, r.Finish())
		require.NoError(t, r.Finish())
		receive(t, r.C())
		require.NoError(t, r.Err())
		require.Equal(t, ErrClosed, r.Push(nil))
		require.Equal(t, ErrClosed, r.PushWait(t.Context(), nil))
		require.Equal(t, [][]byte{[]byte("first")}, recordsOf(r))
		require.NoError(t, r.Err(), "there is more")
		copy(rec, "2nd!")
		require.NoError(t, r.Commit(rec))
		require.NoError(t, r.Wait(t.Context()))
		require.Equal(t, [][]byte{[]byte("2nd!"), []byte("third")}, recordsOf(r))
		receiveDone(t, r)
		require.Equal(t, io.EOF, r.Err())
		require.Equal(t, io.EOF, r.Wait(t.Context()))
		_, err = r.ReadInto(nil)
		require.Equal(t, io.EOF, err)
		require.ErrorIs(t, r.Push(nil), ErrClosed)
		_, err = r.Handle()
		require.Equal(t, io.EOF, err)
		require.NoError(t, r.Finish())
		require.NoError(t, r.Close())
		require.Equal(t, io.EOF, r.Err())
		require.Zero(t, r.Lost())
		require.True(t, r.b.gone())

		// With nothing in it, it ends at once; closed before, it counts what was lost.
		r = ring(t, 4096)
		require.NoError(t, r.Finish())
		receiveDone(t, r)
		require.Equal(t, io.EOF, r.Err())
		r = ring(t, 4096)
		require.NoError(t, r.Push(nil))
		require.NoError(t, r.Finish())
		require.NoError(t, r.Close())
		require.Equal(t, ErrClosed, r.Err())
		require.Equal(t, ErrClosed, r.Finish())
		require.EqualValues(t, 1, r.Lost())

		// A reader that sleeps, and the last record a discarded one.
		r = ring(t, 4096)
		ended := make(chan error)
		go func() { ended <- r.Wait(patience(t)) }()
		rec, err = r.Reserve(4)
		require.NoError(t, err)
		require.NoError(t, r.Finish())
		require.NoError(t, r.Discard(rec))
		require.Equal(t, io.EOF, <-ended)

		// In a loop over what is there.
		r = ring(t, 4096)
		require.NoError(t, r.Push(nil))
		n := 0
		for range r.Records() {
			require.NoError(t, r.Finish())
			n++
		}
		require.Equal(t, 1, n)
		require.Equal(t, io.EOF, r.Err())
	})
	require.Equal(t, ErrClosed, (*Ring)(nil).Finish())
}

func receiveDone(t *testing.T, r *Ring) {
	t.Helper()
	select {
	case <-r.Done():
	default:
		t.Fatal("not done")
	}
}

// What waits in C is told of room, of each end and of its time.
func TestRingForeignWait(t *testing.T) {
	if !ringforeign.Available {
		testenv.Missing(t, "cgo", "there are no foreign threads")
	}
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h := handleOf(t, r)
		require.Equal(t, ringforeign.OK, ringforeign.WaitNow(h, 8, 0))
		require.Equal(t, ringforeign.TooLarge, ringforeign.WaitNow(h, 4096, -1))
		require.Equal(t, ringforeign.TooLarge, ringforeign.TryNow(h, make([]byte, 4096)))
		require.Equal(t, ringforeign.Invalid, ringforeign.WaitNow(0, 8, -1))
		n := fillUp(t, r, 8)
		require.Equal(t, ringforeign.Full, ringforeign.TryNow(h, make([]byte, 8)))
		require.Zero(t, r.Lost())
		require.Equal(t, ringforeign.Timeout, ringforeign.WaitNow(h, 8, 0))
		began := time.Now()
		require.Equal(t, ringforeign.Timeout, ringforeign.WaitNow(h, 8, 100))
		require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond, "Windows' clock steps by some 16 ms")

		code := make(chan int)
		got := func() int {
			t.Helper()
			select {
			case c := <-code:
				return c
			case <-patience(t).Done():
				t.Fatal("nobody wakes the thread")
				return 0
			}
		}
		wait := func(r *Ring, timeout int) {
			h := handleOf(t, r)
			go func() { code <- ringforeign.WaitNow(h, 8, timeout) }()
			waits(t, r)
		}
		wait(r, -1)
		require.Len(t, recordsOf(r), n) // it reserves nothing
		require.Equal(t, ringforeign.OK, got())
		require.GreaterOrEqual(t, ringforeign.TryNow(h, make([]byte, 8)), 0)
		fillUp(t, r, 8)
		wait(r, 60_000)
		require.NoError(t, r.Finish())
		require.Equal(t, ringforeign.Closed, got())
		require.Equal(t, ringforeign.Closed, ringforeign.TryNow(h, nil))
		require.NoError(t, r.Close())
		require.Equal(t, ringforeign.Closed, ringforeign.WaitNow(h, 8, -1))

		r = ring(t, 4096)
		fillUp(t, r, 8)
		wait(r, -1)
		require.NoError(t, r.Close())
		require.Equal(t, ringforeign.Closed, got())

		p, err := notifier.NewPoller()
		require.NoError(t, err)
		r = ring(t, 4096, WithPoller(p))
		fillUp(t, r, 8)
		wait(r, -1)
		require.NoError(t, p.Close())
		require.Equal(t, ringforeign.Closed, got())
		require.NoError(t, r.Close())
	})
}

// A thread looks for room for a moment before it asks to be woken: a reader that keeps up
// makes some just then. Its time counts, and so does whose turn it is.
func TestRingThreadsLookFirst(t *testing.T) {
	if !ringforeign.Available {
		testenv.Missing(t, "cgo", "there are no foreign threads")
	}
	defer ringforeign.SetLooks(math.MaxInt32)()
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h, c := handleOf(t, r), r.b.c
		n := fillUp(t, r, 8)
		require.Equal(t, ringforeign.Timeout, ringforeign.WaitNow(h, 8, 0))
		require.Equal(t, ringforeign.Timeout, ringforeign.WaitNow(h, 8, 2))
		require.True(t, r.b.own(2, atomic.AddUint32(&c.queue, 1)-1, 16))
		before, given := atomic.LoadUint32(&c.queue), atomic.LoadUint32(&c.given)
		code := make(chan int, 1)
		go func() { code <- ringforeign.WaitNow(h, 8, -1) }()
		for ctx := patience(t); atomic.LoadUint32(&c.queue) == before; runtime.Gosched() {
			require.NoError(t, context.Cause(ctx))
		}
		require.Len(t, recordsOf(r), n)
		require.Zero(t, atomic.LoadUint32(&c.waiting)&askedBit)
		require.Equal(t, given, atomic.LoadUint32(&c.given), "it asked to be woken")
		r.b.leave(2)
		returns(t, code, ringforeign.OK, "it does not look")
	})
}

// What is kept for one who waits is left to it, but by those who never wait, and not for
// ever.
func TestRingKeepsRoom(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		b := r.b
		require.NoError(t, r.Push(make([]byte, 8)))
		owned := func(who uint32, need int) bool {
			return b.own(who, atomic.LoadUint32(&b.c.turn), uintptr(need))
		}
		kept := func() uint32 { return atomic.LoadUint32(&b.c.waiting) & keptMask }
		require.True(t, owned(2, r.Cap()-24))
		require.False(t, owned(4, r.Cap()), "one at a time")
		_, err := r.reserve(24, patient)
		require.Equal(t, ErrFull, err)
		if ringforeign.Available {
			require.Equal(t, ringforeign.Full, ringforeign.TryNow(handleOf(t, r), make([]byte, 24)))
		}
		require.NoError(t, r.Push(make([]byte, 24)))
		recordsOf(r)
		rec, err := r.reserve(24, patient)
		require.NoError(t, err, "in an empty ring nothing is kept")
		require.NoError(t, r.finish(rec, stateReady|24))
		_, err = r.reserve(24, patient)
		require.Equal(t, ErrFull, err)
		for ctx := patience(t); kept() != 0; runtime.Gosched() {
			require.NoError(t, context.Cause(ctx), "who asked for it may be dead")
			require.NoError(t, r.Push(nil))
			recordsOf(r)
		}
		require.True(t, owned(4, 64))
		require.True(t, owned(4, 32))
		require.EqualValues(t, 64, kept(), "it needed more before")
		b.disown(2)
		require.EqualValues(t, 64, kept(), "that is another's")
		b.disown(4)
		require.Zero(t, kept())
		turn := atomic.LoadUint32(&b.c.turn)
		require.False(t, b.own(6, turn+1, 8), "in its turn")
		require.True(t, b.own(6, turn, 8))
		b.leave(6)
		require.Zero(t, atomic.LoadUint32(&b.c.owner), "it has left")
		require.Zero(t, kept())
		b.leave(4)
		require.Equal(t, atomic.LoadUint32(&b.c.queue), atomic.LoadUint32(&b.c.turn), "nobody waits")
	})
}

// Each time that producers are woken the number on which threads sleep is another, and
// odd.
func TestRingGivenChanges(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		b := ring(t, 4096).b
		before := atomic.LoadUint32(&b.c.given)
		require.EqualValues(t, 1, before&1)
		b.wakeWaiting()
		require.Equal(t, before, atomic.LoadUint32(&b.c.given), "nobody waits")
		for range 3 {
			before := atomic.LoadUint32(&b.c.given)
			b.ask()
			b.wakeWaiting()
			require.NotEqual(t, before, atomic.LoadUint32(&b.c.given))
			require.EqualValues(t, 1, atomic.LoadUint32(&b.c.given)&1)
			require.Zero(t, atomic.LoadUint32(&b.c.waiting)&askedBit)
		}
	})
}

// Goroutines wait for room in a ring that foreign code does not know: so nothing makes up
// for one that is not woken. The reader empties the ring and gives all of it back at once.
func TestRingGoroutinesWait(t *testing.T) {
	for _, producers := range []int{1, 3} {
		eachMemory(t, func(t *testing.T, ring ringMaker) {
			each := testenv.Times(3000)
			r := ring(t, 4096, WithLinger(0))
			r.b.step = r.b.size
			ctx := patience(t)
			var all sync.WaitGroup
			for i := range producers {
				all.Go(func() {
					for n := range each {
						if !assert.NoError(t, r.PushWait(ctx, append(numbered(1000, n), byte(i)))) {
							return
						}
					}
				})
			}
			go func() {
				all.Wait()
				assert.NoError(t, r.Finish())
			}()
			got := 0
			for r.Wait(ctx) == nil {
				for range r.Records() {
					got++
				}
			}
			require.Equal(t, io.EOF, r.Err())
			require.Equal(t, producers*each, got)
		})
	}
}

// Many producers that wait, in C and in Go, with short records and one with long ones,
// and a small ring: each gets all of its records in, in order, and none is lost.
func TestRingWaitingProducers(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		const threads, goroutines = 16, 16
		each := testenv.Times(300)
		r := ring(t, 4096)
		h := handleOf(t, r)
		var producers sync.WaitGroup
		foreign := 0
		if ringforeign.Available {
			foreign = threads
		}
		for i := range foreign {
			s := ringforeign.Spec{Handle: h, ID: uint32(i), Least: 24, Most: 100, Count: each, How: ringforeign.Wait}
			if i == 0 {
				s.Least, s.Most = 1000, 2000
			}
			producers.Go(func() {
				sent, _ := s.Start().Wait()
				assert.EqualValues(t, each, sent.Sent())
				assert.Zero(t, sent.Changed)
			})
		}
		ctx := patience(t)
		for i := foreign; i < foreign+goroutines; i++ {
			producers.Go(func() {
				rec := make([]byte, 40)
				if i == foreign {
					rec = make([]byte, r.MaxRecord())
				}
				for n := range each {
					binary.NativeEndian.PutUint32(rec, uint32(i))
					binary.NativeEndian.PutUint64(rec[8:], uint64(n))
					assert.NoError(t, r.PushWait(ctx, rec))
				}
			})
		}
		go func() {
			producers.Wait()
			assert.NoError(t, r.Finish())
		}()
		next := make([]uint64, foreign+goroutines)
		for r.Wait(ctx) == nil {
			for rec := range r.Records() {
				i := binary.NativeEndian.Uint32(rec)
				require.Equal(t, next[i], binary.NativeEndian.Uint64(rec[8:]))
				next[i]++
			}
		}
		require.Equal(t, io.EOF, r.Err())
		for i, n := range next {
			require.EqualValues(t, each, n, i)
		}
		require.Zero(t, r.Lost())
	})
}

// Of many that wait none is kept out by others, however quick those are and however long
// its own records are.
func TestRingWaitersHaveTurns(t *testing.T) {
	const producers, short, long = 64, 24, 2000
	for _, who := range []string{"threads", "goroutines", "both"} {
		if who != "goroutines" && !ringforeign.Available {
			continue
		}
		t.Run(who, func(t *testing.T) {
			eachMemory(t, func(t *testing.T, ring ringMaker) {
				r := ring(t, 4096)
				h := handleOf(t, r)
				before := fillUp(t, r, short)
				ctx, stop := context.WithCancel(patience(t))
				var all sync.WaitGroup
				for i := range producers {
					length := short
					if i < 2 { // of both kinds
						length = long
					}
					if who == "threads" || who == "both" && i%2 == 0 {
						s := ringforeign.Spec{Handle: h, ID: uint32(i), Least: length, Most: length, How: ringforeign.Wait}
						all.Go(func() { s.Start().Wait() })
						continue
					}
					all.Go(func() {
						rec := make([]byte, length)
						for binary.NativeEndian.PutUint32(rec, uint32(i)); r.PushWait(ctx, rec) == nil; {
						}
					})
				}
				defer all.Wait()
				defer func() { require.NoError(t, r.Close()) }()
				defer stop()
				for c := r.b.c; atomic.LoadUint32(&c.queue)-atomic.LoadUint32(&c.turn) != producers; runtime.Gosched() {
					require.NoError(t, context.Cause(ctx))
				}
				// Who does not wait may take what room there is until who has its turn runs, however long that
				// takes. So what counts are the turns. Twice as many: somebody may be taken for dead.
				had, n := make([]int, producers), 0
				read := func() {
					for rec := range r.Records() {
						if n++; n > before {
							had[binary.NativeEndian.Uint32(rec)]++
						}
					}
				}
				for first := atomic.LoadUint32(&r.b.c.turn); atomic.LoadUint32(&r.b.c.turn)-first < 2*producers; read() {
					require.NoError(t, r.Wait(ctx))
				}
				read() // who left the queue had its room before
				require.NotContains(t, had, 0, "%d records", n)
			})
		})
	}
}

// Who waits goes when it has its turn, however much room there is.
func TestRingWaitersKeepTheirOrder(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		n := fillUp(t, r, 8)
		require.True(t, r.b.own(2, atomic.AddUint32(&r.b.c.queue, 1)-1, 64), "somebody has its turn")
		done := make(chan error, 1)
		go func() { done <- r.PushWait(t.Context(), make([]byte, 8)) }()
		synctest.Wait()
		require.Len(t, recordsOf(r), n)
		synctest.Wait()
		require.Empty(t, done, "before its turn")
		r.b.leave(2)
		r.b.wakeWaiting()
		require.NoError(t, <-done)
	})
}

// Who died in the queue, or as the owner, holds the others up for a moment only.
func TestRingWaitersDie(t *testing.T) {
	if !ringforeign.Available {
		testenv.Missing(t, "cgo", "there are no foreign threads, and goroutines do not die")
	}
	defer ringforeign.SetPatience(100)()
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h, c := handleOf(t, r), r.b.c
		for _, dead := range []struct {
			how  string
			dies func()
		}{
			{"in the queue", func() { atomic.AddUint32(&c.queue, 1) }},
			{"as the owner", func() { require.True(t, r.b.own(2, atomic.AddUint32(&c.queue, 1)-1, 64)) }},
			{"with its record", func() { require.True(t, r.b.own(2, atomic.LoadUint32(&c.turn), 64)) }},
			{"and what is kept is overwritten", func() {
				require.True(t, r.b.own(2, atomic.AddUint32(&c.queue, 1)-1, 64))
				atomic.OrUint32(&c.waiting, keptMask)
			}},
			{"and all is overwritten", func() { atomic.AddUint32(&c.queue, 1<<31) }},
		} {
			for _, who := range []string{"thread", "goroutine"} {
				n := fillUp(t, r, 0)
				dead.dies()
				before := atomic.LoadUint32(&c.queue)
				done := make(chan bool)
				go func() {
					if who == "goroutine" {
						done <- r.PushWait(patience(t), nil) == nil
					} else {
						runtime.LockOSThread() // the owner is a thread
						defer runtime.UnlockOSThread()
						done <- ringforeign.WaitNow(h, 0, -1) == ringforeign.OK && ringforeign.TryNow(h, nil) >= 0
					}
				}()
				for ctx := patience(t); atomic.LoadUint32(&c.queue) == before; runtime.Gosched() {
					require.NoError(t, context.Cause(ctx))
				}
				got := len(recordsOf(r))
				require.True(t, <-done, "%s %s", who, dead.how)
				require.Equal(t, n+1, got+len(recordsOf(r)))
				require.Zero(t, atomic.LoadUint32(&c.waiting)&keptMask)
				require.Zero(t, atomic.LoadUint32(&c.owner))
				require.Equal(t, atomic.LoadUint32(&c.queue), atomic.LoadUint32(&c.turn))
			}
		}
	})
}

func TestRingStrings(t *testing.T) {
	r, err := New(4096)
	require.NoError(t, err)
	h, err := r.Handle()
	require.NoError(t, err)
	require.Regexp(t, `^Ring\(0x[0-9a-f]+\)$`, r.String())
	require.Regexp(t, `^Handle\(0x[0-9a-f]+\)$`, h.String())
	require.Equal(t, "Ring(nil)", (*Ring)(nil).String())
	require.Nil(t, Handle(0).Pointer())
	if ^uintptr(0)>>32 != 0 {
		require.EqualValues(t, h, uintptr(h.Pointer()))
	} else {
		require.Nil(t, h.Pointer())
	}
	require.NoError(t, r.Close())
	require.ErrorIs(t, r.Err(), os.ErrClosed)
}

// A thread that is the owner again is not taken for one that died the first time, however
// seldom the reader gives memory back.
func TestRingSlowReaderKeepsRoom(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		b := r.b
		b.step = b.size
		own := func(need int) {
			t.Helper()
			require.True(t, b.own(2, atomic.AddUint32(&b.c.queue, 1)-1, uintptr(need)))
		}
		kept := func() uint32 { return atomic.LoadUint32(&b.c.waiting) & keptMask }
		fillUp(t, r, 24)
		own(2048)
		recordsOf(r)
		require.NotZero(t, b.room.since, "it has room, and nobody knows whether it lives")
		b.leave(2) // it does

		fillUp(t, r, 24)
		own(2048)
		b.room.since -= deathTime
		recordsOf(r)
		require.EqualValues(t, 2048, kept())
		b.leave(4) // another one, whose time is over
		require.NoError(t, r.Push(nil))
		b.room.since -= deathTime
		recordsOf(r)
		require.Zero(t, kept(), "it has left unused what there was")
	})
}

// Who has its record lets the next have what room there is: the reader may be busy for
// long, with that record or with something that the next one is to do first.
func TestRingWaitersWakeTheNext(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		if r.b.single {
			return // there is no next
		}
		fillUp(t, r, 24)
		first, e := r.b.join(24)
		done := make(chan error, 1)
		go func() { done <- r.PushWait(t.Context(), numbered(24, 1)) }()
		synctest.Wait()
		require.True(t, r.b.own(first.who, first.ticket, first.span))
		recordsOf(r)
		synctest.Wait()
		require.Empty(t, done, "it is not its turn")
		h, err := r.reserve(24, urgent)
		require.NoError(t, err)
		r.b.pass(first, e)
		synctest.Wait()
		select {
		case err := <-done:
			require.NoError(t, err)
		default:
			t.Error("it is asleep, beside free room")
		}
		require.NoError(t, r.finish(h, stateReady|24))
		require.Len(t, recordsOf(r), 2)
	})
}

// Once there is room for all who wait, they need no reader.
func TestRingWaitersNeedNoReader(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		const producers = 64
		r := ring(t, 4096)
		n := fillUp(t, r, 24)
		ctx := patience(t)
		var all sync.WaitGroup
		for range producers {
			all.Go(func() { assert.NoError(t, r.PushWait(ctx, numbered(24, 1))) })
		}
		for c := r.b.c; atomic.LoadUint32(&c.queue)-atomic.LoadUint32(&c.turn) != producers; runtime.Gosched() {
			require.NoError(t, context.Cause(ctx))
		}
		got := len(recordsOf(r))
		all.Wait()
		require.Equal(t, n+producers, got+len(recordsOf(r)))
	})
}

// A ring in the control block of an earlier one is not held up by who was stopped for long
// on its way into the earlier one's queue.
func TestRingWaitersOfAnEarlierRing(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		next := func(first *Ring) *Ring {
			t.Helper()
			require.NoError(t, first.Close())
			require.True(t, first.b.gone())
			for range 1000 {
				r := ring(t, 4096)
				if r.b.c == first.b.c {
					return r
				}
				require.NoError(t, r.Close())
			}
			t.Fatal("nobody has it")
			return nil
		}
		fits := func(r *Ring) {
			t.Helper()
			n := fillUp(t, r, 0)
			done := make(chan error)
			go func() { done <- r.PushWait(patience(t), nil) }()
			waits(t, r)
			got := len(recordsOf(r))
			require.NoError(t, <-done)
			require.Equal(t, n+1, got+len(recordsOf(r)))
		}
		first := ring(t, 4096)
		second := next(first)
		_, err := first.reserveLater(t.Context(), 0) // having been refused in time
		require.Equal(t, ErrClosed, err)
		require.Equal(t, atomic.LoadUint32(&second.b.c.turn), atomic.LoadUint32(&second.b.c.queue))
		fits(second)
		if !ringforeign.Available {
			return
		}
		handleOf(t, second)
		third := next(next(second))
		atomic.AddUint32(&third.b.c.queue, 1) // a thread, which knew the second
		fits(third)
	})
}

// A thread that has its record wakes nobody. Those behind it come all the same, and soon,
// if there is room.
func TestRingWaitersFollowAThread(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		if !ringforeign.Available {
			testenv.Missing(t, "cgo", "there are no foreign threads")
		}
		r := ring(t, 4096)
		h := handleOf(t, r)
		n := fillUp(t, r, 0)
		require.True(t, r.b.own(1, atomic.AddUint32(&r.b.c.queue, 1)-1, 8))
		code := make(chan int)
		go func() { code <- ringforeign.WaitNow(h, 0, -1) }()
		waits(t, r)
		require.Len(t, recordsOf(r), n)
		waits(t, r) // it has looked, and it is not its turn
		r.b.leave(1)
		returns(t, code, ringforeign.OK, "it is asleep, beside free room")
	})
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		if r.b.single {
			return // nobody is behind another
		}
		r.b.strangers = true
		fillUp(t, r, 0)
		require.True(t, r.b.own(1, atomic.AddUint32(&r.b.c.queue, 1)-1, 8))
		done := make(chan error, 1)
		go func() { done <- r.PushWait(t.Context(), nil) }()
		synctest.Wait()
		recordsOf(r)
		synctest.Wait()
		r.b.leave(1)
		began := time.Now()
		require.NoError(t, <-done)
		require.Less(t, time.Since(began), deathTime)
	})
}

// A goroutine that gives up lets a thread have the room that was kept.
func TestRingWaiterGivesUp(t *testing.T) {
	if !ringforeign.Available {
		testenv.Missing(t, "cgo", "there are no foreign threads")
	}
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		for range 100 { // the thread may not be asleep yet
			r := ring(t, 4096)
			r.b.step = 64
			h := handleOf(t, r)
			fillUp(t, r, 0)
			ctx, cancel := context.WithCancel(patience(t))
			err := make(chan error)
			go func() { err <- r.PushWait(ctx, make([]byte, r.MaxRecord())) }()
			for atomic.LoadUint32(&r.b.c.owner) == 0 {
				runtime.Gosched()
			}
			before := atomic.LoadUint32(&r.b.c.queue)
			code := make(chan int)
			go func() { code <- ringforeign.WaitNow(h, 0, -1) }()
			for atomic.LoadUint32(&r.b.c.queue) == before {
				runtime.Gosched()
			}
			waits(t, r)
			for range 16 {
				_, err := r.ReadInto(nil)
				require.NoError(t, err)
			}
			waits(t, r) // both have looked again, or will
			cancel()
			require.Equal(t, context.Canceled, <-err)
			returns(t, code, ringforeign.OK, "it is asleep, beside free room")
			require.NoError(t, r.Close())
		}
	})
}

// returns waits until a call in another goroutine has returned what it must.
func returns(t *testing.T, code <-chan int, want int, why string) {
	t.Helper()
	select {
	case got := <-code:
		require.Equal(t, want, got)
	case <-patience(t).Done():
		t.Fatal(why)
	}
}
