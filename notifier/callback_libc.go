//go:build gc && darwin && (amd64 || arm64)

package notifier

// This file names what callback_libc_*.s calls of the C library.

//go:cgo_import_dynamic wakechan_error __error "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic wakechan_getpid getpid "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic wakechan_kevent kevent "/usr/lib/libSystem.B.dylib"
//go:cgo_import_dynamic wakechan_write write$NOCANCEL "/usr/lib/libSystem.B.dylib"
