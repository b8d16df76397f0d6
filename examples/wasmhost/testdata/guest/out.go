//go:build wasip1

// An Out of the guest, for out_test.go.
package main

import (
	"context"

	"github.com/wakechan/wakechan/ring"
)

var o *ring.Out

// out_open makes an Out, and a goroutine that writes so many records of ten bytes,
// each of which says its number.
//
//go:wasmexport out_open
func outOpen(size, records int32) uint64 {
	o, _ = ring.NewOut(int(size))
	h, err := o.Handle()
	if err != nil {
		panic(err)
	}
	go func(o *ring.Out) {
		for i := range records {
			if o.WriteWait(context.Background(), []byte{byte(i), byte(i >> 8), 9: 1}) != nil {
				return
			}
		}
	}(o)
	return uint64(h)
}

//go:wasmexport out_shut
func outShut() { _ = o.Close() }
