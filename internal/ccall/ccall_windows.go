//go:build gc && amd64

package ccall

// This file is ccall_unix.go's twin: the runtime calls C on a stack of the system's.

import (
	"runtime"
	"syscall"
	"unsafe"
)

func call(f *frame) {
	_, _, _ = syscall.SyscallN(uintptr(checkedEntry()), uintptr(unsafe.Pointer(f)))
	runtime.KeepAlive(f)
}
