package ring

// This file holds what an Out does for threads that Go does not know, and for signal
// handlers, which read through ring.h.

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
	"github.com/wakechan/wakechan/notifier"
)

func TestOutCodes(t *testing.T) {
	needThreads(t)
	o := newOut(t, 4096)
	h := outHandle(t, o)
	buf := make([]byte, 64)
	require.Zero(t, ringforeign.OutReadNow(h, buf))
	require.Empty(t, ringforeign.OutPeekNow(h))
	ringforeign.OutDoneNow(h)
	require.NoError(t, o.Write([]byte("first")))
	require.NoError(t, o.Write([]byte("second")))
	require.NoError(t, o.Write(numbered(100, 1)))
	require.Equal(t, 5, ringforeign.OutReadNow(h, nil), "how long it is")
	require.Equal(t, 5, ringforeign.OutReadNow(h, buf[:4]))
	require.Equal(t, make([]byte, 4), buf[:4], "it was written to")
	require.Equal(t, 5, ringforeign.OutReadNow(h, buf))
	require.Equal(t, "first", string(buf[:5]))
	require.Equal(t, "second", string(ringforeign.OutPeekNow(h)))
	require.Equal(t, "second", string(ringforeign.OutPeekNow(h)))
	require.Zero(t, ringforeign.OutReadNow(h, buf), "held")
	ringforeign.OutDoneNow(h)
	ringforeign.OutDoneNow(h)
	require.Equal(t, 100, ringforeign.OutReadNow(h, buf))
	require.Equal(t, numbered(100, 1), ringforeign.OutPeekNow(h))
	ringforeign.OutDoneNow(h)
	require.Zero(t, o.Len())

	require.NoError(t, o.Write([]byte("held")))
	rec := ringforeign.OutPeekNow(h)
	require.NoError(t, o.Close())
	require.Zero(t, ringforeign.OutReadNow(h, buf))
	require.Empty(t, ringforeign.OutPeekNow(h))
	require.True(t, inLimbo(o))
	require.Equal(t, "held", string(rec))
	ringforeign.OutDoneNow(h)
	require.False(t, inLimbo(o))
	ringforeign.OutDoneNow(h)
}

// Numbers that name no Out: 0, no generation, cut to 32 bits, a ring's, a notifier's,
// of before.
func TestOutNumbersStayHarmless(t *testing.T) {
	needThreads(t)
	o := newOut(t, 4096)
	h := outHandle(t, o)
	require.NoError(t, o.Write([]byte("record")))
	r, err := New(4096)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Push([]byte("ring's")))
	numbers := []uint64{0, 1, h &^ generationMask, h ^ 1<<27, h + 1, h + 2, uint64(uint32(h)), 0xffffffff, handleOf(t, r)}
	for range 1000 {
		n := notifier.New()
		defer n.Close()
		number, err := n.Handle()
		require.NoError(t, err)
		numbers = append(numbers, uint64(number))
	}
	buf := make([]byte, 64)
	nothing := func() {
		t.Helper()
		for _, number := range numbers {
			require.Zero(t, ringforeign.OutReadNow(number, buf), "%#x", number)
			require.Empty(t, ringforeign.OutPeekNow(number))
			ringforeign.OutDoneNow(number)
		}
	}
	nothing()
	require.Negative(t, ringforeign.PushNow(h, []byte("no ring")))
	require.Equal(t, 6, ringforeign.OutReadNow(h, buf))
	for range 20 {
		next := newOut(t, 4096)
		require.NoError(t, next.Write([]byte("record")))
		nothing()
		number := outHandle(t, next)
		require.Equal(t, 6, ringforeign.OutReadNow(number, buf))
		require.NoError(t, next.Close())
		numbers = append(numbers, number)
	}
}

// feed writes numbered records, and returns how many.
func feed(t testing.TB, o *Out, count int) {
	t.Helper()
	ctx := patience(t)
	rec := make([]byte, 400)
	for number := range count {
		b := rec[:ringforeign.Smallest+number*13%(len(rec)-ringforeign.Smallest)]
		ringforeign.Fill(b, 1, uint64(number))
		require.NoError(t, o.WriteWait(ctx, b))
	}
}

func TestOutThreads(t *testing.T) {
	needThreads(t)
	eachOutMemory(t, func(t *testing.T, memory Option) {
		for _, how := range []ringforeign.How{ringforeign.ConsumeRead, ringforeign.ConsumePeek, ringforeign.ConsumeMixed} {
			o := newOut(t, 4096, memory)
			c := ringforeign.ConsumerSpec{Handle: outHandle(t, o), How: how}.Start()
			count := testenv.Times(20_000)
			feed(t, o, count)
			got, _ := c.Stop()
			assert.Equal(t, ringforeign.ConsumerResults{Read: uint64(count)}, got)
			assert.Zero(t, o.Len())
		}
	})
}

// Several threads read: each record goes to one of them.
func TestOutManyThreads(t *testing.T) {
	needThreads(t)
	o := newOut(t, 4096)
	var all []*ringforeign.Consumer
	for range 3 {
		all = append(all, ringforeign.ConsumerSpec{Handle: outHandle(t, o)}.Start())
	}
	count := testenv.Times(30_000)
	feed(t, o, count)
	var total uint64
	for _, c := range all {
		got, _ := c.Stop()
		total += got.Read
		assert.Equal(t, ringforeign.ConsumerResults{Read: got.Read}, got)
	}
	assert.EqualValues(t, count, total)
}

// The collector stops the world again and again.
func TestOutThreadWhileTheWorldStops(t *testing.T) {
	needThreads(t)
	o := newOut(t, 1<<14)
	c := ringforeign.ConsumerSpec{Handle: outHandle(t, o), How: ringforeign.ConsumeMixed}.Start()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	count := testenv.Times(20_000)
	feed(t, o, count)
	close(stop)
	<-stopped
	got, _ := c.Stop()
	assert.Equal(t, ringforeign.ConsumerResults{Read: uint64(count)}, got)
}

// interrupted reads with a thread that is sent signals all the time.
func interrupted(t *testing.T, how ringforeign.How, interrupt int) (o *Out, count uint64, thread, handler ringforeign.ConsumerResults) {
	needThreads(t)
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	o = newOut(t, 4096)
	c := ringforeign.ConsumerSpec{Handle: outHandle(t, o), How: how, Interrupt: interrupt}.Start()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				c.Interrupt(100)
			}
		}
	}()
	n := testenv.Times(50_000)
	feed(t, o, n)
	close(stop)
	<-stopped
	thread, handler = c.Stop()
	return o, uint64(n), thread, handler
}

// A handler interrupts its thread anywhere in a call, and reads itself.
func TestOutSignalHandlers(t *testing.T) {
	for _, how := range []ringforeign.How{ringforeign.ConsumeRead, ringforeign.ConsumePeek, ringforeign.ConsumeMixed} {
		o, count, thread, handler := interrupted(t, how, ringforeign.InterruptRead)
		assert.Equal(t, count, thread.Read+handler.Read)
		assert.Equal(t, ringforeign.ConsumerResults{Read: thread.Read}, thread)
		assert.Equal(t, ringforeign.ConsumerResults{Read: handler.Read}, handler)
		assert.NoError(t, o.Close())
		assert.False(t, inLimbo(o))
		t.Logf("%d records, %d of them read by the handler", count, handler.Read)
	}
}

// A thread jumps out of calls: that is what one that dies there looks like. Each time
// may cost the record that it had just taken, and no other.
func TestOutDeadReaders(t *testing.T) {
	for _, how := range []ringforeign.How{ringforeign.ConsumeRead, ringforeign.ConsumePeek, ringforeign.ConsumeMixed} {
		o, count, thread, _ := interrupted(t, how, ringforeign.InterruptJump)
		assert.LessOrEqual(t, thread.Read, count)
		assert.LessOrEqual(t, count, thread.Read+thread.Jumps)
		assert.Zero(t, thread.Wrong)
		assert.Zero(t, o.Len(), "reading goes on")
		if how == ringforeign.ConsumeRead {
			assert.Zero(t, thread.Again)
		}
		require.NoError(t, o.Close()) // and does not wait
		t.Logf("%d records, %d read, %d again, after %d jumps; the memory stays: %v", count, thread.Read, thread.Again, thread.Jumps, inLimbo(o))
		outs.mu.Lock()
		outs.limbo = nil // nobody is there any more
		outs.mu.Unlock()
	}
}

func TestOutCloseWhileThreadsRead(t *testing.T) {
	needThreads(t)
	eachOutMemory(t, func(t *testing.T, memory Option) {
		for round := range testenv.Repeats(200) {
			o := newOut(t, 4096, memory)
			c := ringforeign.ConsumerSpec{Handle: outHandle(t, o), How: ringforeign.How(round % 3)}.Start()
			feed(t, o, round)
			require.NoError(t, o.Close())
			got, _ := c.Stop()
			require.Equal(t, ringforeign.ConsumerResults{Read: got.Read}, got)
			require.LessOrEqual(t, got.Read, uint64(round))
			require.False(t, inLimbo(o))
		}
	})
}
