//go:build race

package ring

// This file tells the race detector of the ring's ordering: it ignores atomics
// outside the Go heap, where the records live. A word in the heap is added to
// before each commit by Go, and loaded by the reader before it uses a record. What a
// goroutine did before it let C push is ordered by internal/cgosync: that takes a call
// of C, so it is done once for all the records that are there.

import (
	"sync/atomic"

	"github.com/wakechan/wakechan/internal/cgosync"
)

type raceWord struct {
	word  atomic.Uint32
	known bool
	until uintptr // the records before it were final at the last call of C; the reader's
}

// raceCommit is called before a record by Go becomes final.
func (r *Ring) raceCommit() { r.race.word.Add(1) }

// raceRead is called when the record at the position was found to be final.
func (r *Ring) raceRead(next uintptr) {
	r.race.word.Load()
	if r.race.known && int(r.race.until-next) > 0 {
		return
	}
	at := next
	for at-next < r.b.size {
		state, _ := r.b.header(at)
		if !isFinal(state) {
			break
		}
		at += spanOf(uintptr(state & lengthMask))
	}
	r.race.known, r.race.until = true, at
	cgosync.Acquire()
}
