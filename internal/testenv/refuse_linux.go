package testenv

// This file takes a system call away, for tests in a process of their own.

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Refuse makes the kernel answer EPERM to a system call of any thread from now
// on, as a sandbox does.
func Refuse(t testing.TB, call uint32) {
	t.Helper()
	const allowed, denied = 0x7fff0000, 0x00050000 | uint32(unix.EPERM) // SECCOMP_RET_…
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: denied},
		{Code: unix.BPF_RET | unix.BPF_K, K: allowed},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		Missing(t, "seccomp", err.Error())
	}
	_, _, err := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if err != 0 {
		Missing(t, "seccomp", err.Error())
	}
}
