//go:build wakechan_fakelibc && linux && gc && (amd64 || arm64)

package notifier

// This file and callback_fakelibc_*.s are for tests: with the tag wakechan_fakelibc a
// program on Linux has macOS' C functions, callback_libc_*.s, over a C library that is
// made up. It spoils every register that a callee may change and is interrupted now
// and then; kevent writes the event to its descriptor.

// fakeErrno is the errno of all threads, as macOS numbers it.
var fakeErrno uint32

// fakeCalls counts calls of write and kevent: every third is interrupted.
var fakeCalls uint32
