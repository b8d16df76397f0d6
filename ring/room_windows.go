package ring

// This file holds how Windows wakes threads that sleep in notifier_ring_wait.

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var wakeByAddressAll = windows.NewLazySystemDLL("kernelbase.dll").NewProc("WakeByAddressAll")

// wakeAll wakes the threads that sleep on the word.
func wakeAll(word *uint32) {
	if wakeByAddressAll.Find() == nil { // else they look every millisecond
		_, _, _ = wakeByAddressAll.Call(uintptr(unsafe.Pointer(word)))
	}
}
