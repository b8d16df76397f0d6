//go:build race && cgo

package ring

// This file tests what users see who run their tests with the race detector, and let
// their goroutines call C code that pushes.

import (
	"context"
	"encoding/binary"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wakechan/wakechan/internal/ringforeign"
	"github.com/wakechan/wakechan/internal/testenv"
)

// Plain memory that was written before C pushed a record, or between its reservation and
// its commit, is read after the record: the detector, which would fail this test, has
// nothing to say. However the record is read, alone or with others.
func TestRingPlainMemoryThroughC(t *testing.T) {
	readers := map[string]func(ctx context.Context, r *Ring, use func(uint64)){
		"Records": func(ctx context.Context, r *Ring, use func(uint64)) {
			for r.Wait(ctx) == nil {
				for rec := range r.Records() {
					use(binary.NativeEndian.Uint64(rec))
				}
			}
		},
		"Records, at each token": func(ctx context.Context, r *Ring, use func(uint64)) {
			for {
				select {
				case <-r.C():
					for rec := range r.Records() {
						use(binary.NativeEndian.Uint64(rec))
					}
				case <-r.Done():
					return
				}
			}
		},
		"ReadInto": func(ctx context.Context, r *Ring, use func(uint64)) {
			var buf [8]byte
			for r.Err() == nil {
				if _, err := r.ReadInto(buf[:]); err == nil {
					use(binary.NativeEndian.Uint64(buf[:]))
				} else if err == ErrEmpty && r.Wait(ctx) != nil {
					return
				}
			}
		},
		"Values": func(ctx context.Context, r *Ring, use func(uint64)) {
			for r.Wait(ctx) == nil {
				for v := range Values[uint64](r) {
					use(v)
				}
			}
		},
		"Batches": func(ctx context.Context, r *Ring, use func(uint64)) {
			for r.Wait(ctx) == nil {
				for batch := range Batches[uint64](r) {
					for _, v := range batch {
						use(v)
					}
				}
			}
		},
		"Chan": func(ctx context.Context, r *Ring, use func(uint64)) {
			for v := range Chan[uint64](ctx, r, 8) {
				use(v)
			}
		},
	}
	for name, read := range readers {
		t.Run(name, func(t *testing.T) {
			r, err := New(8192)
			require.NoError(t, err)
			defer r.Close()
			h := handleOf(t, r)
			const all, producers = 400, 2
			var x [all]int
			for p := range uint64(producers) {
				go func() {
					for i := p; i < all; i += producers {
						rec := binary.NativeEndian.AppendUint64(nil, i)
						if i/producers%2 == 0 {
							x[i]++
							assert.GreaterOrEqual(t, ringforeign.PushNow(h, rec), 0)
							continue
						}
						at, code := ringforeign.ReserveNow(h, 8)
						assert.Equal(t, ringforeign.OK, code)
						x[i]++
						copy(unsafe.Slice((*byte)(at), 8), rec)
						assert.GreaterOrEqual(t, ringforeign.CommitNow(h, at), 0)
					}
				}()
			}
			n := 0
			read(patience(t), r, func(i uint64) {
				x[i]++
				if n++; n == all {
					require.NoError(t, r.Finish())
				}
			})
			require.Equal(t, all, n)
		})
	}
}

// A race that no record orders is reported.
func TestRingGenuineRaceIsReported(t *testing.T) {
	if !testenv.ChildRaces(t) {
		return
	}
	r, err := New(4096)
	require.NoError(t, err)
	defer r.Close()
	h := handleOf(t, r)
	x := 0
	done := make(chan bool)
	go func() {
		ringforeign.PushNow(h, nil)
		x = 1
		done <- true
	}()
	require.NoError(t, r.Wait(patience(t)))
	for range r.Records() {
		x++
	}
	<-done
}
