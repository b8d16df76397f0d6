package wasmexport

// This file holds the exports.

import (
	"errors"
	"unsafe"

	"github.com/wakechan/wakechan/internal/hostout"
	"github.com/wakechan/wakechan/ring"
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
	ring   ring.Handle
	record uint32
}

type reservation struct {
	r   *ring.Ring
	rec []byte
}

// reserved has what the host has reserved. What it passes back is looked up here,
// and not taken for an address. A guest has one thread, and nothing here yields
// while it is used.
var reserved = map[place]reservation{}

//go:wasmexport notifier_ring_reserve
func reserve(number uint64, length uint32) int64 {
	return take(number, length, func(n int) ([]byte, error) { return ring.Handle(number).Ring().Reserve(n) })
}

//go:wasmexport notifier_ring_try
func try(number uint64, length uint32) int64 {
	again := func(n int) ([]byte, error) { return hostout.Try(number, n) }
	code := take(number, length, again)
	if code == codeFull {
		yield()
		code = take(number, length, again)
	}
	return code
}

func take(number uint64, length uint32, from func(n int) ([]byte, error)) int64 {
	h := ring.Handle(number)
	if h == 0 {
		return codeInvalid
	}
	r := h.Ring() // nil is a closed one
	n := int(length)
	if r != nil {
		n = min(n, r.MaxRecord()+1)
	}
	rec, err := from(n)
	switch {
	case errors.Is(err, ring.ErrFull):
		return codeFull
	case errors.Is(err, ring.ErrTooLarge):
		return codeTooLarge
	case err != nil:
		return codeClosed
	}
	at := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(rec))))
	reserved[place{h, at}] = reservation{r, rec}
	return int64(at)
}

//go:wasmexport notifier_ring_commit
func commit(number uint64, record uint32) int32 {
	return finish(number, record, (*ring.Ring).Commit)
}

//go:wasmexport notifier_ring_discard
func discard(number uint64, record uint32) int32 {
	return finish(number, record, (*ring.Ring).Discard)
}

func finish(number uint64, record uint32, how func(*ring.Ring, []byte) error) int32 {
	at := place{ring.Handle(number), record}
	res, ok := reserved[at]
	if !ok {
		return codeInvalid
	}
	delete(reserved, at)
	if how(res.r, res.rec) != nil {
		return codeClosed
	}
	yield()
	return codeOK
}
