package ring

// This file holds what a Ring does for threads that Go does not know, and for signal
// handlers, which push through ring.h.

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

func needThreads(t testing.TB) {
	t.Helper()
	if !ringforeign.Available {
		testenv.Missing(t, "cgo", "C threads")
	}
	if len(notifier.Backends()) == 0 {
		t.Skip("no doorbell on this system")
	}
}

func handleOf(t testing.TB, r *Ring) uint64 {
	t.Helper()
	h, err := r.Handle()
	require.NoError(t, err)
	return uint64(h)
}

func TestRingHandle(t *testing.T) {
	if len(notifier.Backends()) == 0 {
		t.Skip("no doorbell on this system")
	}
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h := handleOf(t, r)
		require.NotZero(t, h)
		require.Equal(t, h, handleOf(t, r))
		require.Same(t, r, Handle(h).Ring())
		require.NotEqual(t, h, handleOf(t, ring(t, 4096)))
		require.NoError(t, r.Close())
		require.Nil(t, Handle(h).Ring())
	})
}

func TestRingCodes(t *testing.T) {
	needThreads(t)
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 4096)
		h := handleOf(t, r)
		require.Equal(t, ringforeign.OK, ringforeign.PushNow(h, []byte("first")), "it finds the reader asleep")
		require.Equal(t, ringforeign.Coalesced, ringforeign.PushNow(h, nil))
		receive(t, r.C())
		none(t, r.C())
		require.Equal(t, [][]byte{[]byte("first"), {}}, recordsOf(r))
		require.Equal(t, ringforeign.OK, ringforeign.PushNow(h, record8))
		receive(t, r.C())
		require.Len(t, recordsOf(r), 1)

		rec, code := ringforeign.ReserveNow(h, 8)
		require.Equal(t, ringforeign.OK, code)
		require.Zero(t, uintptr(rec)%8)
		require.Zero(t, *(*uint64)(rec))
		copy(unsafe.Slice((*byte)(rec), 8), record8)
		require.Equal(t, ringforeign.OK, ringforeign.CommitNow(h, rec))
		require.Equal(t, ringforeign.Invalid, ringforeign.CommitNow(h, rec), "committed already")
		require.Equal(t, ringforeign.Invalid, ringforeign.DiscardNow(h, rec))
		rec, _ = ringforeign.ReserveNow(h, 8)
		require.Equal(t, ringforeign.Coalesced, ringforeign.DiscardNow(h, rec))
		require.Equal(t, ringforeign.Invalid, ringforeign.CommitNow(h, nil))
		receive(t, r.C())
		require.Equal(t, [][]byte{record8}, recordsOf(r))

		require.Equal(t, ringforeign.TooLarge, ringforeign.PushNow(h, make([]byte, r.MaxRecord()+1)))
		require.EqualValues(t, 1, r.Lost())
		moveTo(t, r, 0) // padding would have woken the reader
		longest := numbered(r.MaxRecord(), 1)
		require.Equal(t, ringforeign.OK, ringforeign.PushNow(h, longest))
		require.Equal(t, [][]byte{longest}, recordsOf(r))
		n := 0
		for ringforeign.PushNow(h, record8) >= 0 {
			n++
		}
		require.InDelta(t, 4096/16, n, 1)
		require.Equal(t, ringforeign.Full, ringforeign.PushNow(h, record8))
		_, code = ringforeign.ReserveNow(h, 8)
		require.Equal(t, ringforeign.Full, code)
		require.EqualValues(t, 4, r.Lost())
		require.Len(t, recordsOf(r), n)

		for _, nothing := range []uint64{0, h &^ generationMask, h | 1, uint64(uint32(h)), uint64(int64(int32(h))), h & (1<<48 - 1), h | 1<<63} {
			require.Equal(t, ringforeign.Invalid, ringforeign.PushNow(nothing, nil))
			_, code = ringforeign.ReserveNow(nothing, 8)
			require.Equal(t, ringforeign.Invalid, code)
		}
		late, _ := ringforeign.ReserveNow(h, 8)
		require.NoError(t, r.Close())
		require.Equal(t, ringforeign.Closed, ringforeign.PushNow(h, nil))
		_, code = ringforeign.ReserveNow(h, 1)
		require.Equal(t, ringforeign.Closed, code)
		*(*uint64)(late) = 1 // still there
		require.Equal(t, ringforeign.Closed, ringforeign.CommitNow(h, late))
		require.EqualValues(t, 4, r.Lost())
		require.Equal(t, blockGone, r.b.life)
	})
}

var record8 = []byte("8 bytes!")

// A number stays harmless when its control block is another ring's.
func TestRingNumbersStayHarmless(t *testing.T) {
	needThreads(t)
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		old := map[uint64]bool{}
		for range 3 * minIdleControls {
			r := ring(t, 4096)
			h := handleOf(t, r)
			require.False(t, old[h])
			for before := range old {
				require.Equal(t, ringforeign.Closed, ringforeign.PushNow(before, record8))
				_, code := ringforeign.ReserveNow(before, 8)
				require.Equal(t, ringforeign.Closed, code)
			}
			require.Zero(t, r.Len())
			require.GreaterOrEqual(t, ringforeign.PushNow(h, record8), 0)
			receive(t, r.C())
			require.Len(t, recordsOf(r), 1)
			require.NoError(t, r.Close())
			require.Zero(t, r.Lost())
			old[h] = true
		}
	})
}

// run starts threads, reads what they send, and balances the books.
type run struct {
	specs     []ringforeign.Spec
	interrupt int    // signals for each thread
	slow      func() // called with each record
	meanwhile func(done <-chan struct{})
}

func (x run) do(t *testing.T, r *Ring) (b books, total ringforeign.Results) {
	t.Helper()
	h := handleOf(t, r)
	var threads []*ringforeign.Producer
	byID := map[uint32]*ringforeign.Producer{}
	for _, s := range x.specs {
		s.Handle = h
		p := s.Start()
		threads, byID[s.ID] = append(threads, p), p
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, p := range threads {
			if x.interrupt > 0 {
				p.Interrupt(x.interrupt)
			}
		}
		for _, p := range threads {
			thread, handler := p.Wait()
			total = total.Add(thread).Add(handler)
		}
	}()
	if x.meanwhile != nil {
		go x.meanwhile(ended)
	}
	readAll(t, r, ended, func(t testing.TB, rec []byte) {
		if p := byID[b.check(t, rec)]; p != nil { // else a handler's
			p.WasRead()
		}
		if x.slow != nil {
			x.slow()
		}
	})
	assert.Equal(t, total.Sent(), b.received, "sent and received: %+v", total)
	assert.Equal(t, total.Lost(), r.Lost(), "refused and lost: %+v", total)
	assert.Zero(t, total.Changed, "errno")
	assert.Zero(t, total.Invalid)
	assert.Zero(t, total.Failed)
	return b, total
}

// promise returns the options of a ring that so many threads push to.
func promise(producers int, single bool) []Option {
	if producers == 1 && single {
		return []Option{WithSingleProducer()}
	}
	return nil
}

func TestRingThreads(t *testing.T) {
	needThreads(t)
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		forProcs(t, func(t *testing.T) {
			for _, producers := range []int{1, 2, 3, 4, 8} {
				for how, most := range map[ringforeign.How]int{ringforeign.Push: 32, ringforeign.Reserve: 300, ringforeign.Mixed: 1000} {
					for _, keep := range []bool{true, false} {
						count := testenv.Times(8_000) / producers
						var x run
						for id := range producers {
							x.specs = append(x.specs, ringforeign.Spec{
								ID: uint32(id), Least: ringforeign.Smallest, Most: most, Count: count, How: how, Keep: keep,
							})
						}
						b, total := x.do(t, ring(t, 4096<<(producers%3), promise(producers, !keep)...))
						if keep {
							require.EqualValues(t, producers*count, b.received+total.Discarded)
						}
					}
				}
			}
		})
	})
}

// Nothing is lost while the reader keeps up, as it does if the producers are never
// further ahead than half of the ring: what it has read and not given back is an eighth
// at most (Len). All of them together send the ring's size many times.
func TestRingLosesNothing(t *testing.T) {
	needThreads(t)
	eachRing(t, func(t *testing.T, ring ringMaker) {
		r := ring(t, 1<<16)
		const length = 32
		producers, room := 3, r.Cap()/int(spanOf(length))
		if r.b.single {
			producers = 1
		}
		count := max(testenv.Times(100_000), 5*room) / producers
		var x run
		for id := range producers {
			x.specs = append(x.specs, ringforeign.Spec{
				ID: uint32(id), Least: length, Most: length, Count: count, Ahead: room / 2 / producers,
			})
		}
		b, _ := x.do(t, r)
		require.EqualValues(t, producers*count, b.received)
		require.Zero(t, r.Lost())
	})
}

func TestRingSlowReader(t *testing.T) {
	needThreads(t)
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		x := run{slow: runtime.Gosched}
		for id := range uint32(3) {
			x.specs = append(x.specs, ringforeign.Spec{ID: id, Least: 24, Most: 500, Count: testenv.Times(20_000), How: ringforeign.Mixed})
		}
		x.do(t, ring(t, 4096))
	})
}

// The collector stops the world again and again.
func TestRingThreadsWhileTheWorldStops(t *testing.T) {
	needThreads(t)
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		x := run{meanwhile: func(done <-chan struct{}) {
			for {
				select {
				case <-done:
					return
				default:
					runtime.GC()
				}
			}
		}}
		for id := range uint32(2) {
			x.specs = append(x.specs, ringforeign.Spec{ID: id, Least: 24, Most: 100, Count: testenv.Times(50_000), Keep: true})
		}
		x.do(t, ring(t, 1<<16))
	})
}

// A handler interrupts its thread anywhere in a push, and pushes itself.
func TestRingSignalHandlers(t *testing.T) {
	needThreads(t)
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		forProcs(t, func(t *testing.T) {
			for kind, producers := range []int{1, 1, 3} {
				x := run{interrupt: testenv.Times(5000)}
				for id := range uint32(producers) {
					x.specs = append(x.specs, ringforeign.Spec{
						ID: id, Least: 24, Most: 200, Count: testenv.Times(200_000) / producers, How: ringforeign.Mixed, Keep: true, Handler: true,
					})
				}
				b, _ := x.do(t, ring(t, 1<<14, promise(producers, kind == 0)...))
				handled := 0
				for id := range b.last {
					if id >= ringforeign.HandlerID {
						handled++
					}
				}
				t.Logf("%d records, handlers of %d threads among their producers", b.received, handled)
			}
		})
	})
}

func TestRingCloseWhileThreadsPush(t *testing.T) {
	needThreads(t)
	eachMemory(t, func(t *testing.T, ring ringMaker) {
		for round := range testenv.Repeats(300) {
			producers := 1 + round%4
			r := ring(t, 4096<<(round%3), promise(producers, round%8 < 4)...)
			h := handleOf(t, r)
			var threads []*ringforeign.Producer
			for id := range uint32(producers) {
				threads = append(threads, ringforeign.Spec{
					Handle: h, ID: id, Least: 24, Most: 64, How: ringforeign.Mixed,
				}.Start())
			}
			var b books
			for b.received < uint64(10*round) || b.received == 0 {
				require.NoError(t, r.Wait(patience(t)))
				for rec := range r.Records() {
					b.check(t, rec)
					if round%2 == 0 && b.received > 20 {
						require.NoError(t, r.Close()) // in the loop
					}
				}
				if r.Err() != nil {
					break
				}
			}
			require.NoError(t, r.Close())
			var total ringforeign.Results
			for _, p := range threads {
				thread, _ := p.Wait()
				total = total.Add(thread)
			}
			require.EqualValues(t, len(threads), total.Closed)
			require.Equal(t, total.Sent()+total.Lost(), b.received+r.Lost(), "%+v", total)
			require.Equal(t, blockGone, r.b.life)
		}
	})
}
