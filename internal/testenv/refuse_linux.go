package testenv

// This file takes a system call away, for tests in a process of their own.

import (
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Refuse makes the kernel answer EPERM to a system call of any thread from now
// on, as a sandbox does.
func Refuse(t testing.TB, call uint32) {
	t.Helper()
	RefuseWith(t, call, unix.EPERM)
}

// RefuseWith is Refuse with another answer. 0 is an answer too: that the call was made.
func RefuseWith(t testing.TB, call uint32, errno syscall.Errno) {
	t.Helper()
	allowed, denied := uint32(unix.SECCOMP_RET_ALLOW), unix.SECCOMP_RET_ERRNO|uint32(errno)
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
