//go:build wasip1

// A ring of the guest, for ring_test.go.
package main

import (
	"context"
	"runtime"

	"github.com/wakechan/wakechan/ring"
	_ "github.com/wakechan/wakechan/ring/wasmexport"
)

var (
	r       *ring.Ring
	records []byte // the lengths of what was read, and its bytes
	number  uint64
)

// ring_open makes a ring, and a goroutine that reads it if read is not 0; having yielded
// read-1 times before.
//
//go:wasmexport ring_open
func ringOpen(size, read int32) uint64 {
	r, _ = ring.New(int(size))
	records, number = nil, 0
	if read != 0 {
		go func(r *ring.Ring) {
			for r.Wait(context.Background()) == nil {
				for range read - 1 {
					runtime.Gosched()
				}
				ringRead()
			}
		}(r)
	}
	h, err := r.Handle()
	if err != nil {
		panic(err)
	}
	return uint64(h)
}

// ring_read reads what is there, and returns how many records were read by now.
//
//go:wasmexport ring_read
func ringRead() uint64 {
	for rec := range r.Records() {
		records = append(append(records, byte(len(rec))), rec...)
		number++
	}
	return number
}

//go:wasmexport ring_number
func ringNumber() uint64 { return number }

// ring_byte returns byte i of what was read.
//
//go:wasmexport ring_byte
func ringByte(i int32) uint64 { return uint64(records[i]) }

//go:wasmexport ring_lost
func ringLost() uint64 { return r.Lost() }

//go:wasmexport ring_shut
func ringShut() { _ = r.Close() }
