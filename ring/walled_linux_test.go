package ring

// This file holds memory for rings with walls around it: an access outside of a
// block's data ends the process.

import (
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// walled returns each kind of memory that the system has, with walls.
func walled(t testing.TB) (memories []backing) {
	for _, m := range []backing{walledMemory{}, walledMirror{}} {
		p, mirrored, err := m.data(uintptr(os.Getpagesize()))
		if err != nil {
			t.Logf("%T: %v", m, err) // no memfd
			continue
		}
		m.free(p, uintptr(os.Getpagesize()), mirrored)
		memories = append(memories, m)
	}
	require.NotEmpty(t, memories)
	return memories
}

// between returns n bytes of addresses with a page before and behind that nobody
// may touch.
func between(n uintptr) (unsafe.Pointer, error) {
	page := uintptr(os.Getpagesize())
	p, err := unix.MmapPtr(-1, 0, nil, n+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return unsafe.Add(p, page), err
}

func unmapBetween(p unsafe.Pointer, n uintptr) {
	page := uintptr(os.Getpagesize())
	_ = unix.MunmapPtr(unsafe.Add(p, -int(page)), n+2*page)
}

type walledMemory struct{ privateMemory }

func (walledMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	p, err := between(size)
	if err != nil {
		return nil, false, err
	}
	return p, false, unix.Mprotect(unsafe.Slice((*byte)(p), size), unix.PROT_READ|unix.PROT_WRITE)
}

func (walledMemory) free(p unsafe.Pointer, size uintptr, _ bool) { unmapBetween(p, size) }

type walledMirror struct{ privateMemory }

func (walledMirror) data(size uintptr) (unsafe.Pointer, bool, error) {
	fd, err := unix.MemfdCreate("walled", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, false, err
	}
	p, err := between(2 * size)
	if err != nil {
		return nil, false, err
	}
	for _, at := range []unsafe.Pointer{p, unsafe.Add(p, size)} {
		if _, err := unix.MmapPtr(fd, 0, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
			return nil, false, err
		}
	}
	return p, true, nil
}

func (walledMirror) free(p unsafe.Pointer, size uintptr, _ bool) { unmapBetween(p, 2*size) }
