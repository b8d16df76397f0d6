package notifier_test

// This file holds what TestBackendsLeaveNoDescriptors cannot see on Windows.

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"

	"github.com/wakechan/wakechan/notifier"
)

// The runtime's threads come and go with handles of their own, so it is many
// times over that a leak shows.
func TestBackendsLeaveNoHandles(t *testing.T) {
	getProcessHandleCount := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount")
	count := func() (n uint32) {
		ok, _, err := getProcessHandleCount.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n)))
		require.NotZero(t, ok, err)
		return n
	}
	notifier.Backends()
	before := count()
	for range 200 {
		notifier.ForgetBackends()
		_, _ = notifier.NewPoller(notifier.WithBackend("doorknocker"))
		notifier.Backends()
	}
	assert.Less(t, count(), before+100)
}
