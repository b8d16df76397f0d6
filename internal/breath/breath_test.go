package breath

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onlyP has one P, and returns a connection that the netpoller waits for, and its other
// end.
func onlyP(t *testing.T) (reader, writer net.Conn) {
	t.Helper()
	before := runtime.GOMAXPROCS(1)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	Pause()
	if pausing.parker == nil {
		t.Skip("nobody pauses here")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	writer, err = net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	reader, err = listener.Accept()
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	t.Cleanup(func() {
		_ = reader.Close()
		_ = writer.Close()
	})
	return reader, writer
}

// A pause is one in which the netpoller is looked at: the only P spins and pauses, and
// a goroutine that waits for a socket runs all the same.
func TestPauseServesTheNetpoller(t *testing.T) {
	reader, writer := onlyP(t)
	slow := 0 // rounds in which other programs kept the byte or this one from its processor
	got := make(chan byte)
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := reader.Read(b); err != nil {
				close(got)
				return
			}
			got <- b[0]
		}
	}()
	for i := range 100 {
		for range 10 {
			runtime.Gosched() // until the reader waits
		}
		_, err := writer.Write([]byte{byte(i)})
		require.NoError(t, err)
		for pauses, done := 0, false; !done; {
			select {
			case b := <-got:
				require.Equal(t, byte(i), b)
				done = true
			default:
				Pause()
				if pauses++; pauses == 20 {
					slow++
				}
			}
		}
	}
	assert.Less(t, slow, 50, "a few pauses for each byte; without them it would take some 10 ms each")
	require.NoError(t, writer.Close())
	for range got {
	}
}

// Several that pause on the only P are all not runnable meanwhile.
func TestPausesTogetherServeTheNetpoller(t *testing.T) {
	reader, writer := onlyP(t)
	var stop atomic.Bool
	var spinners sync.WaitGroup
	var turns atomic.Uint64
	const many = 3
	before := pausing.ended.Load()
	for range many {
		spinners.Go(func() {
			for !stop.Load() {
				turns.Add(1)
				Pause()
			}
		})
	}
	b := make([]byte, 1)
	for i := range 100 {
		written := make(chan error, 1)
		time.AfterFunc(time.Millisecond, func() {
			_, err := writer.Write([]byte{byte(i)})
			written <- err
		})
		_, err := reader.Read(b)
		require.NoError(t, err)
		require.NoError(t, <-written)
		require.Equal(t, byte(i), b[0])
	}
	stop.Store(true)
	spinners.Wait()
	assert.LessOrEqual(t, turns.Load(), many*(pausing.ended.Load()-before+1), "nobody takes turns while another one pauses")
}

func TestPauseAllocatesNothing(t *testing.T) {
	Pause()
	assert.Zero(t, testing.AllocsPerRun(1000, Pause))
}

func BenchmarkPause(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Pause()
	}
}
