package notifier

// This file holds Windows' doorbell: an I/O completion port that nothing but
// the doorbell posts to. A signal is an empty packet, and the poller blocks its
// thread in GetQueuedCompletionStatusEx (learn.microsoft.com, "I/O Completion
// Ports").

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var backends = []backend{{"iocp", kindIOCP, openIOCP}}

type iocp struct {
	port windows.Handle // what foreign code posts to
	twin windows.Handle // the same port by a second handle: what is waited on
}

var _ doorbell = (*iocp)(nil)

// Both are in every Windows that Go runs on (since Vista and 10), but not in x/sys.
var (
	getQueuedCompletionStatusEx = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetQueuedCompletionStatusEx")
	compareObjectHandles        = windows.NewLazySystemDLL("kernelbase.dll").NewProc("CompareObjectHandles")
)

func openIOCP() (doorbell, error) {
	for _, proc := range []*windows.LazyProc{getQueuedCompletionStatusEx, compareObjectHandles} {
		if err := proc.Find(); err != nil {
			return nil, err
		}
	}
	// Neither handle is inherited by child processes. They have 32 significant
	// bits ("Interprocess Communication Between 32-bit and 64-bit Applications").
	port, err := createIoCompletionPort(windows.InvalidHandle, 0, 0, 0)
	if err != nil {
		return nil, os.NewSyscallError("CreateIoCompletionPort", err)
	}
	b := &iocp{port: port}
	self := windows.CurrentProcess()
	if err := duplicateHandle(self, port, self, &b.twin, 0, false, windows.DUPLICATE_SAME_ACCESS); err != nil {
		_ = windows.CloseHandle(port)
		return nil, os.NewSyscallError("DuplicateHandle", err)
	}
	return b, nil
}

func (b *iocp) descriptor() uint32 { return uint32(b.port) }

// signal fails when the port was closed or the system has no memory for a packet.
func (b *iocp) signal() error {
	return os.NewSyscallError("PostQueuedCompletionStatus", windows.PostQueuedCompletionStatus(b.port, 0, 0, nil))
}

// wait leaves packets of signals that were not needed in the port: each look that
// finds nothing takes up to a batch of them, and a look that finds something at
// once may have been signalled for, so it takes them too. Otherwise a busy poller that
// never gets to sleep would let them pile up in the kernel's memory.
func (b *iocp) wait(look func() bool, limit time.Duration) error {
	if look() {
		for {
			if n, err := b.take(0); n < batch {
				return err
			}
		}
	}
	for {
		n, err := b.take(limit)
		if err != nil {
			return err
		}
		if n == 0 {
			return errSelfCheck
		}
		if look() {
			return nil
		}
	}
}

// batch is how many packets one call takes: more than threads signal at a time.
const batch = 32

// take takes packets and says how many: 0 when limit has passed without one.
func (b *iocp) take(limit time.Duration) (n uint32, err error) {
	if err := b.check(); err != nil { // or twin is another's, whose packets they are
		return 0, err
	}
	var packets [batch]struct { // OVERLAPPED_ENTRY
		key, overlapped, internal uintptr
		bytes                     uint32
	}
	// SyscallN and not proc.Call, which would put the packets on the heap.
	ok, _, errno := syscall.SyscallN(getQueuedCompletionStatusEx.Addr(), uintptr(b.twin), uintptr(unsafe.Pointer(&packets)),
		batch, uintptr(unsafe.Pointer(&n)), uintptr((limit + time.Millisecond - 1).Milliseconds()), 0)
	switch {
	case ok != 0:
		return n, nil
	case errno == windows.WAIT_TIMEOUT:
		return 0, nil
	}
	return 0, os.NewSyscallError("GetQueuedCompletionStatusEx", errno)
}

// check compares the handle that is signalled with the one that nobody else knows:
// its number may name something else by now, another completion port even.
func (b *iocp) check() error {
	if same, _, _ := syscall.SyscallN(compareObjectHandles.Addr(), uintptr(b.port), uintptr(b.twin)); same == 0 {
		return fmt.Errorf("somebody closed handle %#x, and may have put another in its place: %w", uintptr(b.port), windows.ERROR_INVALID_HANDLE)
	}
	return nil
}

func (b *iocp) discard() {
	_ = windows.CloseHandle(b.twin)
	_ = windows.CloseHandle(b.port)
}
