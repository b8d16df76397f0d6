//go:build amd64

package notifier

// Tests of one system hold only what that system alone does. Here is the doorbell
// that callback_windows_amd64.s signals.

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

const (
	fakeLibc       = false
	callbackStates = 5000  // Wine is slow
	testPIDs       = false // a block's process id is not looked at
)

func testBells(t testing.TB) []testBell {
	opened, err := openIOCP()
	require.NoError(t, err)
	b := opened.(*iocp)
	event, err := windows.CreateEvent(nil, 0, 0, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		b.discard()
		_ = windows.CloseHandle(event)
	})
	return []testBell{
		{kindIOCP, b.descriptor(), nil, func() string {
			n, err := b.take(0)
			require.NoError(t, err)
			return fmt.Sprint(n)
		}},
		{kindIOCP, uint32(event), nil, func() string { return "" }},
	}
}

// signalBell does what notifier_signal_ of notifier.h describes.
func signalBell(kind, descriptor uint32) bool {
	return kind == kindIOCP && windows.PostQueuedCompletionStatus(windows.Handle(int32(descriptor)), 0, 0, nil) == nil
}

// The system can unwind the function that calls it: debuggers, crash dumps and exceptions
// depend on that. The functions that are handed out are leaves, which need nothing.
func TestCallbackUnwinds(t *testing.T) {
	notify, err := NotifyFunc()
	require.NoError(t, err)
	// It ends with a jump to notifySteps: JMP, with a displacement of 32 bits.
	at := 0
	for *(*byte)(unsafe.Add(notify, at)) != 0xe9 {
		at++
		require.Less(t, at, 32)
	}
	displacement := int32(binary.LittleEndian.Uint32(unsafe.Slice((*byte)(unsafe.Add(notify, at+1)), 4)))
	steps := uintptr(notify) + uintptr(at) + 5 + uintptr(int64(displacement))
	var base windows.Handle
	require.NoError(t, windows.GetModuleHandleEx(0, nil, &base))
	address := uint32(steps - uintptr(base))

	// The table of unwind data: begin, end and what to do, for each function with a frame.
	self, err := os.Executable()
	require.NoError(t, err)
	program, err := pe.Open(self)
	require.NoError(t, err)
	defer program.Close()
	table, err := program.Section(".pdata").Data()
	require.NoError(t, err)
	found := 0
	for ; len(table) >= 12; table = table[12:] {
		if begin, end := binary.LittleEndian.Uint32(table), binary.LittleEndian.Uint32(table[4:]); begin <= address && address < end {
			assert.Equal(t, address, begin)
			found++
		}
	}
	assert.Equal(t, 1, found)
}
