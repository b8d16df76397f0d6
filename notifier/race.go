//go:build race

package notifier

// This file tells the race detector of the protocol's ordering. It ignores
// atomics outside the Go heap, where the ready set lives, and a look at a
// channel's length, so each notification also adds to a word in the heap before
// it looks, and whoever takes notifications loads it after clearing. Words are
// shared by a hash: that may hide a race, never invent one.
//
// That is for notifications by Go. A goroutine that notifies through C is ordered by
// internal/cgosync.

import (
	"sync/atomic"
	"unsafe"
)

var raceWords [4096]atomic.Uint32

func raceWord(h Handle) *atomic.Uint32 { return &raceWords[h>>generationBits%4096] }

func raceWordOf(n *Notifier) *atomic.Uint32 {
	return &raceWords[uintptr(unsafe.Pointer(n))>>6%4096]
}

func raceNotify(h Handle) { raceWord(h).Add(1) }

func (n *Notifier) raceNotify() { raceWordOf(n).Add(1) }

// raceTake is called with n's lock held, after clearing.
func (n *Notifier) raceTake() {
	raceWordOf(n).Load()
	if n.handle != 0 {
		raceWord(n.handle).Load()
	}
}
