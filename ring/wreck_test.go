package ring

// This file holds what a Ring makes of producers that stop or die at any point,
// and of memory that somebody scribbled on. Producers are played by the steps of
// producer.go, taken one by one.

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// timed runs a test for every kind of memory, on a clock that costs no time.
func timed(t *testing.T, test func(t *testing.T, ring ringMaker)) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		synctest.Test(t, func(t *testing.T) { test(t, ring) })
	})
}

// commitOnly is a commit whose producer dies before it can notify.
func commitOnly(h unsafe.Pointer) {
	atomic.StoreUint32(stateOf(h), stateReady|atomic.LoadUint32(stateOf(h))&lengthMask)
}

func TestRingStalls(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096, WithStallTime(time.Minute))
		began := time.Now()
		slow, err := r.Reserve(3)
		require.NoError(t, err)
		require.NoError(t, r.Push([]byte("behind")))
		receive(t, r.C())
		require.Empty(t, recordsOf(r))
		time.Sleep(time.Minute - time.Nanosecond)
		require.Zero(t, r.Stalled())
		none(t, r.C())

		require.NoError(t, r.Wait(t.Context()), "for the stall")
		require.Equal(t, time.Minute, time.Since(began))
		require.Equal(t, time.Minute, r.Stalled())
		require.NoError(t, r.Push([]byte("more behind")), "pushing goes on")
		time.Sleep(time.Hour)
		none(t, r.C()) // once
		require.Empty(t, recordsOf(r))
		require.Equal(t, time.Hour+time.Minute, r.Stalled())
		require.NoError(t, r.Err())

		copy(slow, "ok!")
		require.NoError(t, r.Commit(slow))
		require.Zero(t, r.Stalled())
		receive(t, r.C())
		require.Equal(t, [][]byte{[]byte("ok!"), []byte("behind"), []byte("more behind")}, recordsOf(r))

		// The next one has a time of its own, and a token of its own.
		_, err = r.Reserve(3)
		require.NoError(t, err)
		require.Empty(t, recordsOf(r))
		time.Sleep(time.Minute)
		receive(t, r.C())
		require.Equal(t, time.Minute, r.Stalled())
		require.NoError(t, r.Close())
		require.Zero(t, r.Stalled())
	})
}

// Stalled looks by itself: a reader need not have been there.
func TestRingStalledWithoutAReader(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		slow, err := r.Reserve(0)
		require.NoError(t, err)
		require.Zero(t, r.Stalled())
		time.Sleep(DefaultStallTime)
		require.Equal(t, DefaultStallTime, r.Stalled())
		require.NoError(t, r.Commit(slow))
		require.Zero(t, r.Stalled())
		require.Len(t, recordsOf(r), 1)
	})
}

// A producer that died before it wrote anything into what it had reserved.
func TestRingStallsBeforeTheHeader(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h, err := r.reserve(100, once)
		require.NoError(t, err)
		*stateOf(h), *tagOf(h) = 0, 0
		require.NoError(t, r.Push(nil))
		require.Empty(t, recordsOf(r))
		time.Sleep(DefaultStallTime)
		require.Equal(t, DefaultStallTime, r.Stalled())
		require.NoError(t, r.Close())
		require.EqualValues(t, 1, r.Lost(), "the one behind it")
		require.Equal(t, blockLimbo, r.b.life, "the memory stays")
		*tagOf(h) = tagAt(r.b.from)
		*stateOf(h) = stateDropped | 100
		require.EqualValues(t, 1, r.Lost())
	})
}

// Producers that died there, one after another: the records between them are found, and
// counted once each, however often and late that is asked for.
func TestRingLosesNoRecordBehindTheDead(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		die := func(n int, withTag bool) unsafe.Pointer {
			h, err := r.reserve(n, once)
			require.NoError(t, err)
			*stateOf(h) = 0
			if !withTag {
				*tagOf(h) = 0
			}
			return h
		}
		rec := bytes.Repeat([]byte{0xff}, 20) // what is no header
		require.NoError(t, r.Push(rec))
		first := die(100, false)
		last := die(64, true) // the scan comes past it
		require.NoError(t, r.Push(rec))
		require.NoError(t, r.Push(rec))
		busy, err := r.Reserve(7)
		require.NoError(t, err)
		die(0, true)
		require.NoError(t, r.Push(rec))
		end := die(200, true)
		require.Len(t, recordsOf(r), 1)
		require.NoError(t, r.Close())
		require.EqualValues(t, 3, r.Lost())
		time.Sleep(2 * scanTime)
		require.EqualValues(t, 3, r.Lost())
		require.ErrorIs(t, r.Commit(busy), os.ErrClosed)
		require.EqualValues(t, 3, r.Lost())
		require.True(t, r.b.scanned, "from then on it looks at their headers only")
		require.Equal(t, blockLimbo, r.b.life)

		// One that was only slow, and comes to its commit now.
		*tagOf(first), *stateOf(first) = tagAt(r.b.from), stateDropped|100
		*stateOf(end) = stateDropped | 200
		require.EqualValues(t, 3, r.Lost())
		require.Equal(t, blockLimbo, r.b.life, "the one behind it has not")
		*stateOf(last) = stateDropped | 64
		require.EqualValues(t, 3, r.Lost())
	})
}

// How many rings dead producers keep is nothing to the next ring; those that end are
// found all the same.
func TestRingNewIsNotLinear(t *testing.T) {
	const many = 20 * sweepAtOnce
	var kept [][]byte
	var rings []*Ring
	for range many {
		r, err := New(64)
		require.NoError(t, err)
		rec, err := r.Reserve(8)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		kept, rings = append(kept, rec), append(rings, r)
	}
	for i, r := range rings {
		require.ErrorIs(t, r.Discard(kept[i]), os.ErrClosed)
		require.Equal(t, blockLimbo, r.b.life)
	}
	for range many / sweepAtOnce * 2 {
		r, err := New(64)
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
	for _, r := range rings {
		require.Equal(t, blockGone, r.b.life)
	}
}

// A reader that sleeps before there is anything hears of a reservation without commit.
func TestRingStallsWhileTheReaderSleeps(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096, WithStallTime(time.Minute))
		for range 3 {
			require.Empty(t, recordsOf(r)) // asleep
			time.Sleep(time.Hour)
			began := time.Now()
			rec, err := r.Reserve(0)
			require.NoError(t, err)
			require.NoError(t, r.Wait(t.Context()))
			require.GreaterOrEqual(t, r.Stalled(), time.Minute)
			require.LessOrEqual(t, time.Since(began), 2*time.Minute)
			require.NoError(t, r.Commit(rec))
			require.Len(t, recordsOf(r), 1)
		}
	})
}

// The same with a foreign producer, and no clock but the system's.
func TestRingStallsWhileTheReaderSleepsForeign(t *testing.T) {
	if !ringforeign.Available {
		testenv.Missing(t, "cgo", "there are no foreign threads")
	}
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096, WithStallTime(10*time.Millisecond))
		h, err := r.Handle()
		require.NoError(t, err)
		time.Sleep(20 * time.Millisecond) // it has looked once, and goes on looking
		for range 2 {
			rec, code := ringforeign.ReserveNow(uint64(h), 8)
			require.Equal(t, ringforeign.OK, code)
			require.NoError(t, r.Wait(patience(t)))
			require.GreaterOrEqual(t, r.Stalled(), 10*time.Millisecond)
			require.GreaterOrEqual(t, ringforeign.CommitNow(uint64(h), rec), 0)
			require.NoError(t, r.Wait(patience(t)))
			require.Len(t, recordsOf(r), 1)
		}
	})
}

// A commit has no fence before it looks whether the reader sleeps. If the two
// miss each other the timer finds the record.
func TestRingCommitThatMissesTheReader(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for range 5 {
			began := time.Now()
			h, err := r.reserve(0, once)
			require.NoError(t, err)
			require.Empty(t, recordsOf(r)) // asleep, and it knows of the reservation
			commitOnly(h)
			receive(t, r.C())
			require.Equal(t, stallPoll, time.Since(began))
			require.Len(t, recordsOf(r), 1)
		}
		// Also when it comes late.
		h, err := r.reserve(0, once)
		require.NoError(t, err)
		require.Empty(t, recordsOf(r))
		time.Sleep(10 * DefaultStallTime)
		receive(t, r.C())
		commitOnly(h)
		began := time.Now()
		receive(t, r.C())
		require.LessOrEqual(t, time.Since(began), DefaultStallTime)
		require.Len(t, recordsOf(r), 1)
	})
}

// Who asks meanwhile does not take the timer's place without doing its work.
func TestRingStalledForACommitThatMissesTheReader(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h, err := r.reserve(0, once)
		require.NoError(t, err)
		require.Empty(t, recordsOf(r)) // asleep, and it knows of the reservation
		commitOnly(h)
		require.Zero(t, r.Stalled())
		receive(t, r.C())
		require.Len(t, recordsOf(r), 1)
	})
}

// Nor is a reader forgotten that goes to sleep when the clock has run for long.
func TestRingReaderGoesBackToSleep(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096, WithStallTime(time.Hour))
		h, err := r.reserve(0, once)
		require.NoError(t, err)
		require.Zero(t, r.Stalled())
		time.Sleep(time.Minute)
		require.Empty(t, recordsOf(r))
		commitOnly(h)
		began := time.Now()
		receive(t, r.C())
		require.Equal(t, stallPoll, time.Since(began))
		require.Len(t, recordsOf(r), 1)
	})
}

// Who died between commit and notification leaves it to the next.
func TestRingNextProducerNotifies(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for range 5 {
			h, err := r.reserve(0, once)
			require.NoError(t, err)
			commitOnly(h)
			none(t, r.C())
			require.NoError(t, r.Push(nil))
			receive(t, r.C())
			require.Len(t, recordsOf(r), 2)
		}
	})
}

// A producer may have notified for an earlier sleep, and only say so now.
func TestRingLateSayingSo(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		for range 5 {
			h, err := r.reserve(0, once)
			require.NoError(t, err)
			commitOnly(h)
			seen := atomic.LoadUint32(&r.b.c.wanted)
			require.NotZero(t, seen&wantedBit)
			require.NoError(t, r.n.Notify())
			receive(t, r.C())
			require.Len(t, recordsOf(r), 1)
			require.Empty(t, recordsOf(r)) // a spurious look: asleep again
			require.False(t, atomic.CompareAndSwapUint32(&r.b.c.wanted, seen, seen&^wantedBit), "a number came twice")
			require.NoError(t, r.Push(nil))
			receive(t, r.C())
			require.Len(t, recordsOf(r), 1)
		}
	})
}

// Nor does it clear the bit of the next ring, if it is that late.
func TestRingLateSayingSoToAnotherRing(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		seen := map[*control][]uint32{}
		for range 4 * (len(pool.idle) + minIdleControls) {
			r := ring(t, 4096)
			for range 3 {
				wanted := atomic.LoadUint32(&r.b.c.wanted)
				require.NotZero(t, wanted&wantedBit)
				require.NotContains(t, seen[r.b.c], wanted, "a number came twice")
				seen[r.b.c] = append(seen[r.b.c], wanted)
				require.NoError(t, r.Push(nil))
				require.Len(t, recordsOf(r), 1)
			}
			require.NoError(t, r.Close())
		}
	})
}

// nextOn returns the next ring that has the control block of r, which is closed.
func nextOn(t *testing.T, r *Ring, ring ringMaker) *Ring {
	for {
		next := ring(t, 4096)
		require.Zero(t, next.Lost())
		if next.b.c == r.b.c {
			return next
		}
		require.NoError(t, next.Close())
	}
}

// A producer that is stopped before the last step of a commit, until the next ring has
// the control block, leaves that one's reader asleep, and says so to nobody.
func TestRingLateLookAtAnotherRing(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h, err := r.reserve(0, once)
		require.NoError(t, err)
		tag := atomic.LoadUint32(tagOf(h))
		commitOnly(h)
		require.NoError(t, r.Close())
		next := nextOn(t, r, ring)
		require.ErrorIs(t, r.wake(tag), ErrClosed)
		require.NoError(t, next.Push(nil))
		receive(t, next.C())
	})
}

// A ring that was made in a bubble has a channel that nobody outside may send on.
func TestRingPushedToFromOutsideOfItsBubble(t *testing.T) {
	work, did := make(chan *Ring), make(chan error)
	go func() { did <- (<-work).Push([]byte("outside")) }()
	synctest.Test(t, func(t *testing.T) {
		r, err := New(4096)
		require.NoError(t, err)
		defer func() { require.NoError(t, r.Close()) }()
		work <- r
		require.ErrorContains(t, <-did, "bubble")
		require.NoError(t, r.Push([]byte("inside")))
		receive(t, r.C())
		require.Equal(t, [][]byte{[]byte("outside"), []byte("inside")}, recordsOf(r))
	})
}

// A bubble's timer ends the process if it is touched from outside.
func TestRingReadInBubblesAndOutside(t *testing.T) {
	r, err := New(4096)
	require.NoError(t, err)
	stall := func() {
		slow, err := r.Reserve(0)
		require.NoError(t, err)
		require.Empty(t, recordsOf(r))
		require.NoError(t, r.Commit(slow))
		require.Len(t, recordsOf(r), 1)
	}
	for range 3 {
		synctest.Test(t, func(*testing.T) {
			stall()
			time.Sleep(time.Hour)
			stall()
		})
		stall()
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := r.Reserve(0)
		require.NoError(t, err)
		require.Empty(t, recordsOf(r))
	})
	require.NoError(t, r.Close())
}

// Whoever asks what was lost looks through closed rings too.
func TestRingLostWhileItIsClosed(t *testing.T) {
	for range testenv.Times(20_000) {
		r, err := New(4096)
		require.NoError(t, err)
		var asking sync.WaitGroup
		asking.Go(func() {
			for !r.ended.Load() {
				runtime.Gosched()
			}
			for range 50 {
				r.Lost()
			}
		})
		require.NoError(t, r.Close())
		asking.Wait()
		pool.mu.Lock()
		left := slices.Contains(pool.limbo, r.b)
		pool.mu.Unlock()
		require.False(t, left)
	}
}

// When a second Close has returned, the ring is closed.
func TestRingClosedTwiceAtOnce(t *testing.T) {
	for range testenv.Times(3_000) {
		r, err := New(4096)
		require.NoError(t, err)
		require.NoError(t, r.Push(nil))
		done := r.Done()
		var first sync.WaitGroup
		first.Go(func() { _ = r.Close() })
		for !r.ended.Load() {
			runtime.Gosched()
		}
		require.NoError(t, r.Close())
		select {
		case <-done:
		default:
			assert.Fail(t, "Done is open")
		}
		require.EqualValues(t, 1, r.Lost())
		first.Wait()
	}
}

// A producer that was refused may count that after the end: it is that ring's loss
// for as long as no other ring has the control block.
func TestRingLateLoss(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		require.ErrorIs(t, r.Push(make([]byte, r.MaxRecord()+1)), ErrTooLarge)
		require.NoError(t, r.Close())
		require.Equal(t, blockGone, r.b.life)
		require.EqualValues(t, 1, r.Lost())
		atomic.AddUintptr(&r.b.c.lost, 1)
		require.EqualValues(t, 2, r.Lost())
		next := nextOn(t, r, ring)
		atomic.AddUintptr(&r.b.c.lost, 1)
		require.EqualValues(t, 1, next.Lost())
		require.EqualValues(t, 2, r.Lost())
	})
}

// While the oldest record is reserved the others wake nobody.
func TestRingWakesForTheOldestOnly(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096, WithStallTime(time.Hour))
		slow, err := r.Reserve(0)
		require.NoError(t, err)
		require.Empty(t, recordsOf(r))
		for range 20 {
			require.NoError(t, r.Push(nil))
		}
		none(t, r.C())
		require.NoError(t, r.Commit(slow))
		receive(t, r.C())
		require.Len(t, recordsOf(r), 21)
	})
}

// The oldest may be padding that its producer is about to write. On a clock that stands
// still, so that the token is not the timer's.
func TestRingWakesForPadding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(4096, withMemory(backings[len(backings)-1]))
		require.NoError(t, err)
		defer r.Close()
		require.False(t, r.b.mirrored)
		moveTo(t, r, r.b.size-64)
		receive(t, r.C())

		// The reader goes to sleep when the position has moved and the padding has no
		// header yet. Its producer does not look at wanted in between, so for it that
		// may as well have been before.
		position := &r.b.c.position
		pad := r.next
		atomic.StoreUintptr(position, pad+64+spanOf(100))
		require.Empty(t, recordsOf(r))
		require.Equal(t, wantedBit|headOnlyBit, atomic.LoadUint32(&r.b.c.wanted)&(wantedBit|headOnlyBit))
		require.Equal(t, pad, atomic.LoadUintptr(&r.b.c.consumer))
		atomic.StoreUintptr(position, pad)
		none(t, r.C())

		began := time.Now()
		h, err := r.reserve(100, once)
		require.NoError(t, err)
		require.Equal(t, r.b.data, h)
		require.Zero(t, atomic.LoadUint32(&r.b.c.wanted)&wantedBit, "nobody else need notify")
		receive(t, r.C())
		require.Zero(t, time.Since(began))
		require.Empty(t, recordsOf(r), "the padding is no record")
		require.NoError(t, r.finish(h, stateReady|100))
		receive(t, r.C())
		require.Zero(t, time.Since(began))
		require.Len(t, recordsOf(r), 1)
	})
}

func TestRingInABubble(t *testing.T) {
	timed(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		_, err := r.Handle()
		require.Error(t, err)
		go func() {
			for range 100 {
				require.NoError(t, r.Push(nil))
				time.Sleep(time.Microsecond) // lingering would never end here
			}
			require.NoError(t, r.Close())
		}()
		n := 0
		for r.Wait(t.Context()) == nil {
			n += len(recordsOf(r))
		}
		require.EqualValues(t, 100, n+int(r.Lost()))
	})
}

// scribbled checks that a ring whose memory is damaged ends with an error, at the
// latest after it was used a little.
func scribbled(t *testing.T, r *Ring) {
	for range 10 {
		_ = r.Push(make([]byte, 100))
		_ = recordsOf(r)
	}
	require.Error(t, r.Err())
	require.NotErrorIs(t, r.Err(), ErrClosed)
	require.ErrorContains(t, r.Err(), "wrote over")
	<-r.Done()
	require.Equal(t, r.Err(), r.Push(nil))
	_, err := r.ReadInto(nil)
	require.Equal(t, r.Err(), err)
	require.Equal(t, r.Err(), r.Wait(t.Context()))
	require.Empty(t, recordsOf(r))
	require.NoError(t, r.Close())
	require.NotErrorIs(t, r.Err(), ErrClosed, "the fault is the reason")
}

func TestRingScribbledControlBlock(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		for name, scribble := range map[string]func(c *control){
			"magic":             func(c *control) { c.magic = 1 },
			"abi":               func(c *control) { c.abi = 2 },
			"generation":        func(c *control) { c.generation++ },
			"flags":             func(c *control) { c.flags ^= flagMirrored },
			"size":              func(c *control) { c.size *= 2 },
			"max":               func(c *control) { c.max = ^uint32(0) },
			"data":              func(c *control) { c.data += 8 },
			"pid":               func(c *control) { c.pid++ },
			"position forward":  func(c *control) { c.position += 1 << 20 },
			"position back":     func(c *control) { c.position -= 8 },
			"position odd":      func(c *control) { c.position += 2 },
			"consumer forward":  func(c *control) { c.consumer += 8 },
			"consumer back":     func(c *control) { c.consumer -= 8 },
			"consumer nonsense": func(c *control) { c.consumer = ^uintptr(0) },
			"notifier":          func(c *control) { c.notifierLow++ },
		} {
			t.Run(name, func(t *testing.T) {
				r := ring(t, 4096)
				require.NoError(t, r.Push(nil))
				require.Len(t, recordsOf(r), 1)
				r.b.announce(1 << 40)
				scribble(r.b.c)
				scribbled(t, r)
			})
		}
	})
}

func TestRingScribbledRecords(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		for name, scribble := range map[string]func(r *Ring, h unsafe.Pointer){
			"tag": func(r *Ring, h unsafe.Pointer) { *tagOf(h)++ },
			"longer than it can be": func(r *Ring, h unsafe.Pointer) {
				*stateOf(h) = stateReady | (uint32(r.b.max) + 1)
			},
			"longer than the ring": func(r *Ring, h unsafe.Pointer) { *stateOf(h) = stateReady | lengthMask },
			"dropped, and longer":  func(r *Ring, h unsafe.Pointer) { *stateOf(h) = stateDropped | lengthMask },
			"beyond the position":  func(r *Ring, h unsafe.Pointer) { *stateOf(h) = stateReady | 1000 },
			"dropped, and beyond":  func(r *Ring, h unsafe.Pointer) { *stateOf(h) = stateDropped | 1000 },
		} {
			t.Run(name, func(t *testing.T) {
				r := ring(t, 4096)
				_, h := r.b.header(r.next)
				require.NoError(t, r.Push(make([]byte, 20)))
				scribble(r, h)
				for range recordsOf(r) {
				}
				scribbled(t, r)
				_ = r.Lost() // walks what is there
			})
		}
	})
}

// Whoever sees the damage first says so: also Wait, and a loop that is left.
func TestRingScribbledIsSeen(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		for name, see := range map[string]func(r *Ring, h unsafe.Pointer){
			"by Wait": func(r *Ring, h unsafe.Pointer) {
				*tagOf(h)++
				err := r.Wait(t.Context())
				require.Error(t, err)
				require.Equal(t, r.Err(), err)
			},
			"by a break": func(r *Ring, h unsafe.Pointer) {
				_, next := r.b.header(r.next + spanOf(20))
				for range r.Records() {
					*tagOf(next)++
					break
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				r := ring(t, 4096)
				_, h := r.b.header(r.next)
				require.NoError(t, r.Push(make([]byte, 20)))
				require.NoError(t, r.Push(make([]byte, 20)))
				see(r, h)
				require.ErrorContains(t, r.Err(), "a record's tag")
				scribbled(t, r)
			})
		}
	})
}

// A ring that is closed before anybody saw the damage is walked no further than it
// reaches; who uses the memory is not known then, so it stays.
func TestRingScribbledAndClosed(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		for name, scribble := range map[string]func(c *control){
			"forward": func(c *control) { c.position += 1 << 20 },
			"back":    func(c *control) { c.position -= 1 << 20 },
			"odd":     func(c *control) { c.position += 2 },
		} {
			t.Run(name, func(t *testing.T) {
				r := ring(t, 4096)
				h := r.b.handle()
				require.NoError(t, r.Push(make([]byte, 20)))
				scribble(r.b.c)
				require.NoError(t, r.Close())
				require.ErrorIs(t, r.Err(), ErrClosed)
				require.Equal(t, blockStuck, r.b.life)
				require.Nil(t, h.Ring())
				require.Zero(t, r.Lost(), "nobody knows")
				require.ErrorIs(t, r.Push(nil), ErrClosed)
			})
		}
	})
}

// What is written over a control block that waits for its next ring is not that one's.
func TestRingScribbledBetweenRings(t *testing.T) {
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		for range minIdleControls + 2 {
			require.NoError(t, ring(t, 4096).Close())
		}
		pool.mu.Lock()
		require.Greater(t, len(pool.idle), minIdleControls)
		next := pool.idle[0].c
		b := unsafe.Slice((*byte)(unsafe.Pointer(next)), unsafe.Offsetof(next.position))
		for i := range b {
			b[i] = 0x5a
		}
		pool.mu.Unlock()
		r := ring(t, 4096)
		require.Same(t, next, r.b.c)
		require.NoError(t, r.Push([]byte("record")))
		require.Len(t, recordsOf(r), 1)
		require.NoError(t, r.Err())
	})
}

// Whatever is written anywhere, whenever: no access outside of the block, which
// has walls around it, and no endless loop.
func TestRingScribbledAtRandom(t *testing.T) {
	for _, m := range walled(t) {
		t.Run(fmt.Sprintf("%T", m), func(t *testing.T) {
			for seed := range testenv.Repeats(2000) {
				random := rand.New(rand.NewPCG(uint64(seed), 1))
				left := 200
				scribble(t, m, func() (byte, bool) {
					left--
					return byte(random.Uint32()), left >= 0
				})
			}
		})
	}
}

// FuzzRingScribbled does the same with what the fuzzer thinks of.
func FuzzRingScribbled(f *testing.F) {
	memories := walled(f)
	f.Add([]byte("\x03\x10\x01\x00\x05\x04"))
	f.Add([]byte("\x03\x30\x00\x41\x02\x00\x03\x08\x04\x04"))
	f.Add([]byte("\x03\xff\x03\xff\x04\x03\xff\x03\xff\x04\x02\x80\x01\x02\x05\x05\x06"))
	f.Fuzz(func(t *testing.T, operations []byte) {
		for _, m := range memories {
			rest := operations
			scribble(t, m, func() (b byte, ok bool) {
				if len(rest) == 0 {
					return 0, false
				}
				b, rest = rest[0], rest[1:]
				return b, true
			})
		}
	})
}

// scribble uses a ring and writes over it, as the bytes say that next returns.
func scribble(t *testing.T, memory backing, next func() (byte, bool)) {
	r, err := New(4096, withMemory(memory), WithLinger(0))
	require.NoError(t, err)
	words := unsafe.Slice((*uint32)(r.b.data), r.b.size/4)
	control := unsafe.Slice((*uint32)(unsafe.Pointer(r.b.c)), controlSize/4)
	value := func() uint32 {
		kind, _ := next()
		high, _ := next()
		low, _ := next()
		n := uint32(high)<<8 | uint32(low)
		switch kind % 8 {
		case 0:
			return n
		case 1:
			return n<<16 | n
		case 2:
			return stateReady | n%4096
		case 3:
			return stateDropped | n%8192
		case 4:
			return stateBusy | n%4096
		case 5:
			return tagAt(r.next)
		case 6:
			return uint32(r.next) + n%8192 - 4096
		default:
			return ^uint32(0) - n
		}
	}
	buf := make([]byte, 4096)
	sum := byte(0)
	for !r.b.gone() {
		op, ok := next()
		if !ok {
			break
		}
		switch op % 7 {
		case 0:
			at, _ := next()
			v := value()
			atomic.StoreUint32(&control[int(at)%len(control)], v)
		case 1:
			high, _ := next()
			low, _ := next()
			atomic.StoreUint32(&words[(int(high)<<8|int(low))%len(words)], value())
		case 2: // where the reader looks next
			at, _ := next()
			atomic.StoreUint32(&words[int(r.b.offset(r.next))/4+int(at)%2], value())
		case 3:
			n, _ := next()
			_ = r.Push(buf[:int(n)*8])
		case 4:
			for rec := range r.Records() {
				for _, b := range rec {
					sum += b
				}
			}
		case 5:
			_, _ = r.ReadInto(buf)
		default:
			if rec, err := r.Reserve(int(op)); err == nil {
				clear(rec)
				_ = r.Discard(rec)
			}
		}
	}
	_, _, _ = r.Len(), r.Stalled(), r.Lost()
	require.NoError(t, r.Close())
	_ = r.Lost()
	if r.b.life == blockLimbo { // nobody will ever commit what was made up
		r.b.mu.Lock()
		r.b.bury(blockStuck)
		r.b.mu.Unlock()
	}
	if r.b.life == blockStuck {
		r.b.memory.free(r.b.data, r.b.size, r.b.mirrored)
	}
}

func TestRingGenerationsRunOut(t *testing.T) {
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		r.b.generation = generationMask - 1
		r.b.c.generation = generationMask - 1
		require.NoError(t, r.Push(nil))
		require.Len(t, recordsOf(r), 1)
		require.NoError(t, r.Close())
		require.Equal(t, blockGone, r.b.life)
		for _, idle := range pool.idle {
			assert.NotSame(t, r.b.c, idle.c, fmt.Sprintf("generation %d", idle.generation))
		}
	})
}
