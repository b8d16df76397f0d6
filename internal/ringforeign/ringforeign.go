// Package ringforeign makes threads that Go has never heard of push records to a
// ring through ring.h, for tests. Without cgo Available is false and every call
// panics.
//
// This file holds what both builds share. producers.go has the cgo build of it,
// nocgo.go its twin, and fork_*.go what only a unix has.
package ringforeign

import (
	"encoding/binary"
	"fmt"
)

// The codes of ring.h and notifier.h.
const (
	OK        = 0
	Coalesced = 1
	Closed    = -1
	Invalid   = -2
	Failed    = -3
	Full      = -4
	TooLarge  = -5
	Timeout   = -6
)

// Results counts what the calls returned. A discarded record is in none of the
// others.
type Results struct {
	OK, Coalesced, Full, TooLarge, Closed, Invalid, Failed, Discarded uint64

	// Changed counts calls that changed errno and did not fail: none may.
	Changed uint64
}

// Sent is the number of records that must arrive, or be counted as lost.
func (r Results) Sent() uint64 { return r.OK + r.Coalesced + r.Failed }

// Lost is the number of records that must be counted as lost.
func (r Results) Lost() uint64 { return r.Full + r.TooLarge }

// Add adds others up.
func (r Results) Add(o Results) Results {
	return Results{r.OK + o.OK, r.Coalesced + o.Coalesced, r.Full + o.Full, r.TooLarge + o.TooLarge, r.Closed + o.Closed,
		r.Invalid + o.Invalid, r.Failed + o.Failed, r.Discarded + o.Discarded, r.Changed + o.Changed}
}

// How a thread produces.
type How int

// By notifier_ring_push; by reserve and commit; by either, with every seventh
// record discarded, whose number is then missing; by notifier_ring_try, and
// notifier_ring_wait while there is no room.
const (
	Push How = iota
	Reserve
	Mixed
	Wait
)

// Spec is what a thread sends.
type Spec struct {
	Handle      uint64
	ID          uint32
	Least, Most int // length of the records, from Smallest to 4096
	Count       int // 0: until the ring is closed
	How         How
	Keep        bool // a record that finds no room is sent again
	Ahead       int  // how many it sends before they are read: see WasRead; 0: any number
	Handler     bool // a signal handler sends too, as ID + HandlerID: see Interrupt
}

// Smallest is the length of the shortest record that a thread sends.
const Smallest = 24

// HandlerID is what a handler adds to the ID of its thread.
const HandlerID = 1000

// Record is what a record says.
type Record struct {
	ID     uint32
	Number uint64
}

// Fill writes the record that a thread would send as its number-th to b.
func Fill(b []byte, id uint32, number uint64) {
	binary.NativeEndian.PutUint32(b, id)
	binary.NativeEndian.PutUint32(b[4:], uint32(len(b)))
	binary.NativeEndian.PutUint64(b[8:], number)
	binary.NativeEndian.PutUint64(b[16:], sum(id, uint32(len(b)), number))
	for i := Smallest; i < len(b); i++ {
		b[i] = filling(id, number, i)
	}
}

// Check reads a record, and returns an error if a byte of it is wrong.
func Check(b []byte) (Record, error) {
	if len(b) < Smallest {
		return Record{}, fmt.Errorf("a record of %d bytes: % x", len(b), b)
	}
	r := Record{binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint64(b[8:])}
	if n := binary.NativeEndian.Uint32(b[4:]); int(n) != len(b) {
		return r, fmt.Errorf("%d bytes of a record of %d: %+v", len(b), n, r)
	}
	if got, want := binary.NativeEndian.Uint64(b[16:]), sum(r.ID, uint32(len(b)), r.Number); got != want {
		return r, fmt.Errorf("checksum %#x instead of %#x: %+v", got, want, r)
	}
	for i := Smallest; i < len(b); i++ {
		if want := filling(r.ID, r.Number, i); b[i] != want {
			return r, fmt.Errorf("byte %d of %d is %#x instead of %#x: %+v", i, len(b), b[i], want, r)
		}
	}
	return r, nil
}

func filling(id uint32, number uint64, i int) byte {
	return byte(number*31 + uint64(i)*7 + uint64(id))
}

func sum(id, length uint32, number uint64) uint64 {
	return (uint64(id)<<32|uint64(length))*0x9e3779b97f4a7c15 ^ number*0xc2b2ae3d27d4eb4f
}
