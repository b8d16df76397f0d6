//go:build race

package chanadapter

// This file tells the race detector of the ring's ordering: it ignores atomics
// outside the Go heap, where the records live. A word in the heap is added to
// before each commit by Go, and loaded by the reader before it uses a record.

import "sync/atomic"

type raceWord struct{ word atomic.Uint32 }

func (w *raceWord) release() { w.word.Add(1) }

func (w *raceWord) acquire() { w.word.Load() }
