package ring

// This file holds how Linux maps memory twice, without a descriptor: making a file
// longer, as memfd_create(2) needs, may be fatal (SIGXFSZ of a host with RLIMIT_FSIZE),
// and a file may be refused for what could be done with it (vm.memfd_noexec).

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapTwice maps shared memory at p, and once more behind it, in place of what is there:
// an old size of 0 makes a second mapping of the same pages (mremap(2)). MAP_POPULATE: a
// producer that must not wait takes no page fault.
func mapTwice(p unsafe.Pointer, size uintptr) error {
	if _, err := unix.MmapPtr(-1, 0, p, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON|unix.MAP_FIXED|unix.MAP_POPULATE); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	_, err := unix.MremapPtr(p, 0, unsafe.Add(p, size), size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED)
	return os.NewSyscallError("mremap", err)
}
