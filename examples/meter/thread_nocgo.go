//go:build !cgo

package main

// This file has a goroutine play the thread where there is no C.

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/wakechan/wakechan/ring"
)

const who = "built without cgo: a goroutine pushes a level for each block of 64 frames"

type thread struct {
	done chan struct{}
	n    int
	most time.Duration
}

func startThread(r *ring.Ring, blocks int, period time.Duration) (*thread, error) {
	t := &thread{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		due := time.Now()
		for i := range uint64(blocks) {
			due = due.Add(period)
			time.Sleep(time.Until(due))
			rec := binary.NativeEndian.AppendUint64(nil, i)
			for _, speed := range []float64{3, 5} {
				swell := math.Abs(0.5 + 0.49*math.Sin(float64(i)*64/48000*speed))
				rec = binary.NativeEndian.AppendUint32(rec, math.Float32bits(float32(swell)))
			}
			began := time.Now()
			if errors.Is(r.Push(rec), ring.ErrClosed) {
				return
			}
			t.n++
			t.most = max(t.most, time.Since(began))
		}
	}()
	return t, nil
}

func (t *thread) pushed() int { return t.n }

func (t *thread) longest() time.Duration { return t.most }
