package ringexport

// This file holds the exports.

import (
	"errors"
	"runtime"
	"unsafe"

	"github.com/wakechan/wakechan/chanadapter"
)

// The codes of ring.h and notifier.h.
const (
	codeOK       = 0
	codeClosed   = -1
	codeInvalid  = -2
	codeFull     = -4
	codeTooLarge = -5
)

// yields is how often commit and discard let others run: see notifier/wasmexport.
const yields = 3

// place is where a reservation is.
type place struct {
	ring   chanadapter.RingHandle
	record uint32
}

type reservation struct {
	r   *chanadapter.Ring
	rec []byte
}

// reserved has what the host has reserved. What it passes back is looked up here,
// and not taken for an address. A guest has one thread, and nothing here yields
// while it is used.
var reserved = map[place]reservation{}

//go:wasmexport notifier_ring_reserve
func reserve(ring uint64, length uint32) int64 {
	h := chanadapter.RingHandle(ring)
	if h == 0 {
		return codeInvalid
	}
	r := h.Ring() // nil is a closed one
	n := int(length)
	if r != nil {
		n = min(n, r.MaxRecord()+1)
	}
	rec, err := r.Reserve(n)
	switch {
	case errors.Is(err, chanadapter.ErrRingFull):
		return codeFull
	case errors.Is(err, chanadapter.ErrRecordTooLarge):
		return codeTooLarge
	case err != nil:
		return codeClosed
	}
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(rec))))
	reserved[place{h, at}] = reservation{r, rec}
	return int64(at)
}

//go:wasmexport notifier_ring_commit
func commit(ring uint64, record uint32) int32 {
	return finish(ring, record, (*chanadapter.Ring).Commit)
}

//go:wasmexport notifier_ring_discard
func discard(ring uint64, record uint32) int32 {
	return finish(ring, record, (*chanadapter.Ring).Discard)
}

func finish(ring uint64, record uint32, how func(*chanadapter.Ring, []byte) error) int32 {
	at := place{chanadapter.RingHandle(ring), record}
	res, ok := reserved[at]
	if !ok {
		return codeInvalid
	}
	delete(reserved, at)
	if how(res.r, res.rec) != nil {
		return codeClosed
	}
	for range yields {
		runtime.Gosched()
	}
	return codeOK
}
