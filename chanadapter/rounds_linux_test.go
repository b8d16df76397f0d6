package chanadapter_test

// This file holds a driver for libraries that are asked in each round of their loop what
// to watch, and its test. docs/guide.md has its text.

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wakechan/wakechan/chanadapter"
	"github.com/wakechan/wakechan/internal/testenv"
)

// watchRound has g watch what a library wants in this round. watched is what it wanted
// in the round before.
func watchRound(g *chanadapter.Group, watched map[uintptr]*chanadapter.Watcher, want map[uintptr]chanadapter.Events) error {
	for fd, w := range watched {
		if _, still := want[fd]; !still {
			w.Close()
			delete(watched, fd)
		}
	}
	for fd, events := range want {
		// Also if fd and events are those of the round before: the number may name
		// another file by now, and what the library left there must be found again.
		interest := chanadapter.Interest(events)
		if watched[fd].Change(interest, chanadapter.OneShot()) == nil { // of nil, the first time, it gives ErrClosed
			continue
		}
		watched[fd].Close()
		w, err := chanadapter.Watch(fd, chanadapter.In(g), chanadapter.WithValue(fd), interest, chanadapter.OneShot())
		if err != nil {
			return err
		}
		watched[fd] = w
	}
	return nil
}

// TestRounds drives a "library" that is asked in each round which descriptors it wants,
// as GLib is (g_main_context_query), and that renews its pipes between rounds: the same
// numbers with the same events, which name other files. A driver that compares
// (descriptor, events) with the round before would wait for ever.
func TestRounds(t *testing.T) {
	type source struct{ r, w int }
	openPipe := func() source {
		var p [2]int
		require.NoError(t, unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC))
		return source{p[0], p[1]}
	}
	sources := make([]source, 8)
	for i := range sources {
		sources[i] = openPipe()
	}
	defer func() {
		for _, s := range sources {
			unix.Close(s.r)
			unix.Close(s.w)
		}
	}()
	g := chanadapter.NewGroup()
	defer g.Close()
	watched := map[uintptr]*chanadapter.Watcher{}
	rnd := rand.New(rand.NewPCG(3, 3))
	ctx := testenv.Context(t)
	renewed, numbers := 0, map[int]bool{}
	for range testenv.Times(10_000) {
		want := map[uintptr]chanadapter.Events{}
		for _, s := range sources {
			want[uintptr(s.r)] = chanadapter.FromPoll(unix.POLLIN)
		}
		require.NoError(t, watchRound(g, watched, want))
		require.Len(t, watched, len(sources))

		// Something comes for one of them. It is seen in this round.
		i := rnd.IntN(len(sources))
		_, err := unix.Write(sources[i].w, []byte("xy"))
		require.NoError(t, err)
		seen := false
		for !seen {
			require.NoError(t, g.Wait(ctx))
			for w, e := range g.Ready() {
				if w.Value() == uintptr(sources[i].r) {
					assert.Equal(t, int16(unix.POLLIN), e.Poll())
					seen = true
				}
			}
		}
		// It reads a part, and the rest in the next round, or never.
		var b [1]byte
		_, _ = unix.Read(sources[i].r, b[:])
		if rnd.IntN(2) == 0 {
			_, _ = unix.Read(sources[i].r, b[:])
		}
		// Renewed: the owner closes without a word, and gets the number again.
		s := &sources[rnd.IntN(len(sources))]
		unix.Close(s.r)
		unix.Close(s.w)
		if numbers[s.r] {
			renewed++
		}
		numbers[s.r] = true
		*s = openPipe()
	}
	assert.NotZero(t, renewed, "no number was used again")
}
