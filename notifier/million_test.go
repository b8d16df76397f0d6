package notifier

// This file holds the million: as many notifiers, with handles, as one poller is
// made for.

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/foreign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// A million notifiers of one poller; a random third of them is notified, each of
// those is seen exactly once and no other, within 512 MB.
func TestMillion(t *testing.T) {
	ways := []string{"handle"}
	if foreign.Available {
		ways = append(ways, "thread")
	}
	if len(Backends()) == 0 {
		t.Skip("no doorbell")
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) { million(t, way) })
	}
}

func million(t *testing.T, way string) {
	count := min(testenv.Times(1_000_000), 1_000_000)
	if testenv.Race {
		count /= 4
	}
	debug.FreeOSMemory() // what other tests have left
	before := memory()

	p := newPoller(t)
	list := make([]*Notifier, count)
	handles := make([]uint64, count)
	for i := range list {
		n, err := p.New()
		require.NoError(t, err)
		h, err := n.Handle()
		require.NoError(t, err)
		list[i], handles[i] = n, uint64(h)
	}
	require.Equal(t, count, p.Stats().Handles)

	random := rand.New(rand.NewPCG(5, 8))
	due := make([]bool, count)
	var third []uint64
	for i := range due {
		if random.IntN(3) == 0 {
			due[i] = true
			third = append(third, handles[i])
		}
	}
	random.Shuffle(len(third), func(i, j int) { third[i], third[j] = third[j], third[i] })

	for range 2 {
		switch way {
		case "handle":
			for _, h := range third {
				if err := Handle(h).Notify(); err != nil {
					t.Fatal(err)
				}
			}
		case "thread":
			results := foreign.Once(third)
			require.EqualValues(t, len(third), results.OK, "%+v", results)
		}
		settle(t, p)
		for i, n := range list {
			if got := len(n.ch); got != 1 && due[i] || got != 0 && !due[i] {
				t.Fatalf("notifier %d: %d tokens, due: %v", i, got, due[i])
			}
			if due[i] {
				<-n.ch
			}
		}
		settle(t, p)
		for i, n := range list {
			if len(n.ch) != 0 || isSet(n) {
				t.Fatalf("notifier %d: a second token", i)
			}
		}
	}
	stats := p.Stats()
	assert.EqualValues(t, 2*len(third), stats.Delivered)
	assert.Zero(t, stats.Coalesced)

	used := float64(memory()) - float64(before) + float64(blockSize)
	assert.LessOrEqual(t, used, 512e6*float64(count)/1e6+32e6)
	t.Logf("%d notifiers with handles: %.0f MB, %.0f bytes each; %d notified", count, used/1e6, used/float64(count), len(third))

	// All end with their poller.
	require.NoError(t, p.Close())
	for _, n := range list {
		if n.Err() != ErrClosed {
			t.Fatal(n.Err())
		}
	}
}

// memory is what Go has from the system and does not give back.
func memory() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Sys - stats.HeapReleased
}
