package chanadapter

// This file holds where Linux gets a ring's data from: a memfd that is mapped
// twice in a row. The control block is private memory (ring_memory_unix.go).

import (
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var ringMemories = []ringMemory{mirroredMemory{}, privateMemory{}}

type mirroredMemory struct{ privateMemory }

var _ ringMemory = mirroredMemory{}

func (mirroredMemory) data(size uintptr) (unsafe.Pointer, bool, error) {
	if !wipesOnFork() {
		return nil, false, errors.New("no memory can be shared, since a forked child would share it too")
	}
	fd, err := unix.MemfdCreate("wakechan-ring", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, false, os.NewSyscallError("memfd_create", err)
	}
	defer func() { _ = unix.Close(fd) }() // the mappings keep it
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, false, os.NewSyscallError("ftruncate", err)
	}
	// Reserve the addresses, then put the memory in twice.
	p, err := unix.MmapPtr(-1, 0, nil, 2*size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, false, os.NewSyscallError("mmap", err)
	}
	for _, at := range []unsafe.Pointer{p, unsafe.Add(p, size)} {
		// MAP_POPULATE: a producer that must not wait takes no page fault.
		if _, err = unix.MmapPtr(fd, 0, at, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED|unix.MAP_POPULATE); err != nil {
			_ = unix.MunmapPtr(p, 2*size)
			return nil, false, os.NewSyscallError("mmap", err)
		}
	}
	// A child would share it: who carried a reservation over a fork faults there,
	// and does not write into its parent's record.
	for _, at := range []unsafe.Pointer{p, unsafe.Add(p, size)} { // both are more than an int has on 32 bits
		if err := unix.Madvise(unsafe.Slice((*byte)(at), size), unix.MADV_DONTFORK); err != nil {
			_ = unix.MunmapPtr(p, 2*size)
			return nil, false, os.NewSyscallError("madvise", err)
		}
	}
	return p, true, nil
}

func (mirroredMemory) free(p unsafe.Pointer, size uintptr, _ bool) {
	_ = unix.MunmapPtr(p, 2*size)
}

// wipesOnFork reports whether the kernel does what wipeOnFork and MADV_DONTFORK
// ask for.
var wipesOnFork = sync.OnceValue(tryWipeOnFork)

func tryWipeOnFork() bool {
	size := uintptr(os.Getpagesize())
	p, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return false
	}
	defer func() { _ = unix.MunmapPtr(p, size) }()
	return wipeOnFork(unsafe.Slice((*byte)(p), size)) == nil
}

// wipeOnFork makes a forked child see zeros in b (madvise(2), since Linux 4.14).
func wipeOnFork(b []byte) error {
	// qemu's user-mode emulation says yes to any advice and takes none: so it
	// does to one that does not exist.
	if unix.Madvise(b, -1) == nil {
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("madvise", unix.Madvise(b, unix.MADV_WIPEONFORK))
}
