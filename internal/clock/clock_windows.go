// Package clock is a monotonic clock that steps by less than a microsecond, for
// those who linger for some of them.
package clock

// Go's own monotonic clock is the system's interrupt time here, which steps by 0.5
// to 15.6 ms: a lingering of some microseconds would last until its next step.

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	queryPerformanceCounter   = windows.NewLazySystemDLL("kernel32.dll").NewProc("QueryPerformanceCounter")
	queryPerformanceFrequency = windows.NewLazySystemDLL("kernel32.dll").NewProc("QueryPerformanceFrequency")
)

// counterFrequency is fixed from the system's start on.
var counterFrequency = query(queryPerformanceFrequency)

// Now is the time since the system's start, with steps below a microsecond ("Acquiring
// high-resolution time stamps", learn.microsoft.com). Both calls never fail.
func Now() time.Duration {
	c, f := query(queryPerformanceCounter), counterFrequency
	return time.Duration(c/f)*time.Second + time.Duration(c%f*int64(time.Second)/f)
}

func query(proc *windows.LazyProc) (v int64) {
	_, _, _ = syscall.SyscallN(proc.Addr(), uintptr(unsafe.Pointer(&v)))
	return v
}
