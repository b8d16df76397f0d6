package notifier

// This file holds the Handle: what its bits mean, how a number that is no handle is told
// from one, and Notify for who has only that. The C half is notifier.h, under THE
// NUMBER. What a notification does in shared memory is readyset.go.

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Handle names a notifier to foreign code: C, C++, Rust or Zig pass it to
// notifier_notify (see [Header]). It is a plain number. It goes through an API that has
// 64 bits for the user's data, and on 64-bit systems through a void * (see
// [Handle.Pointer]). It stays harmless for ever: after Close every use of it reports
// that the notifier is gone. Handle(0) names nothing.
//
// The bits are: address of the poller's block / 8 MiB (25), index (20),
// generation (19, odd).
type Handle uint64

func makeHandle(base uint64, index, generation uint32) Handle {
	return Handle(base>>blockShift<<(indexBits+generationBits) |
		uint64(index)<<generationBits | uint64(generation))
}

func (h Handle) base() uint64       { return uint64(h) >> (indexBits + generationBits) << blockShift }
func (h Handle) index() uint32      { return uint32(h>>generationBits) & (maxHandles - 1) }
func (h Handle) generation() uint32 { return uint32(h) & generationMask }

// Pointer returns the handle as a void *: the same number, for an API that wants a
// pointer as "user data". It points to nothing and must not be followed. It is nil
// where a handle does not fit, that is on 32-bit systems, and for Handle(0).
func (h Handle) Pointer() unsafe.Pointer {
	p := uintptr(h)
	if Handle(p) != h {
		return nil
	}
	// Not unsafe.Pointer(p), of which vet warns in general and which the garbage
	// collector's checks of pointers (-d=checkptr) look at.
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// String is the number as it appears in what NOTIFIER_DEBUG says.
func (h Handle) String() string { return fmt.Sprintf("Handle(%#x)", uint64(h)) }

var errInvalidHandle = fmt.Errorf("notifier: this handle never came from Notifier.Handle: %w", os.ErrInvalid)

// Notify does for a Go caller that has only the handle what notifier_notify
// does for a foreign one. It is safe from any goroutine, at any time, for any
// value of h.
//
// It returns nil when a wake-up is on its way or one already was; [ErrClosed]
// when the notifier was closed; an error that matches [os.ErrInvalid] when h names
// nothing; and the operating system's error when the doorbell could not be signalled,
// in which case nothing is lost: the next call by anyone signals again.
func (h Handle) Notify() error {
	s := setOf(h)
	if s == nil {
		return errInvalidHandle
	}
	raceNotify(h)
	return s.notify(h)
}

// sets finds every ready set there ever was by the upper 24 bits of its handles: they
// are never unmapped. Two levels, so that a notification takes two loads, however many
// there are. Written under setsMu.
var (
	sets   [1 << 12]atomic.Pointer[[1 << 12]atomic.Pointer[readySet]]
	setsMu sync.Mutex

	loopBases atomic.Uint64 // how many sets on WASI had a number for an address
)

// register makes s known to Handle.Notify.
func register(s *readySet) {
	i := s.base >> blockShift
	setsMu.Lock()
	defer setsMu.Unlock()
	chunk := &sets[i>>12]
	if chunk.Load() == nil {
		chunk.Store(new([1 << 12]atomic.Pointer[readySet]))
	}
	chunk.Load()[i&(1<<12-1)].Store(s)
}

func setOf(h Handle) *readySet {
	i := h.base() >> blockShift
	if i >= 1<<24 || h&1 == 0 {
		return nil
	}
	chunk := sets[i>>12].Load()
	if chunk == nil {
		return nil
	}
	return chunk[i&(1<<12-1)].Load()
}
