package ring

// This file holds what a single producer's ring needs of Linux: membarrier(2), and
// how a control block that was used once is given up.

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// From linux/membarrier.h.
const (
	membarrierPrivateExpedited         = 1 << 3 // Linux 4.14
	membarrierRegisterPrivateExpedited = 1 << 4
)

// hasMembarrier reports whether membarrier may be called from now on.
var hasMembarrier = sync.OnceValue(tryMembarrier)

func tryMembarrier() bool {
	// Not 32 bits, where a position comes again, nor where the kernel has not had the
	// barrier in all places from the beginning (riscv64). Android may end a process that
	// makes an unusual call. And some sandboxes say yes to everything.
	return (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64") && runtime.GOOS == "linux" &&
		callMembarrier(1<<30) != nil && membarrier() == nil
}

// membarrier makes every thread of the process pass a full fence between what it did
// before and what it does after: at once if it runs, and otherwise it did when it
// stopped. It is a variable for tests, which know what was under way then.
var membarrier = func() error {
	err := callMembarrier(membarrierPrivateExpedited)
	if errors.Is(err, unix.EPERM) { // not registered: the first time, or since a checkpoint was restored (criu(8))
		if err = callMembarrier(membarrierRegisterPrivateExpedited); err == nil {
			err = callMembarrier(membarrierPrivateExpedited)
		}
	}
	return err
}

func callMembarrier(command uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, command, 0, 0); errno != 0 {
		return os.NewSyscallError("membarrier", errno)
	}
	return nil
}

// keepSmallPages has the kernel make no large page of memory of which retireControl gives
// parts back.
func keepSmallPages(p unsafe.Pointer, size uintptr) {
	_ = unix.Madvise(unsafe.Slice((*byte)(p), size), unix.MADV_NOHUGEPAGE)
}

// retireControl gives back the memory, and not the address: it reads as zeros, and who
// writes there gets a page again.
func retireControl(c *control) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(c)), os.Getpagesize())
	if unix.Madvise(b, unix.MADV_DONTNEED) == unix.EINVAL {
		_ = unix.Madvise(b, unix.MADV_DONTNEED_LOCKED) // mlockall(2); since Linux 5.18
	}
}
