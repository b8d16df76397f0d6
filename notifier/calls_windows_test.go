package notifier

// This file holds what happens when Windows refuses one of the calls by which a poller
// is made: each fails in turn.

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/windows"
)

// calling lets the nth call of those that make a poller fail, and has what the others
// returned.
type calling struct {
	n        int
	failed   string
	handles  []windows.Handle
	reserved []uintptr
}

// fails is told of each call, and says whether it is the one.
func (c *calling) fails(name string) bool {
	if c.n--; c.n != 0 {
		return false
	}
	c.failed = name
	return true
}

// instead puts c in the place of the calls, until the function that it returns is
// called.
func (c *calling) instead() (restore func()) {
	create, duplicate, alloc := createIoCompletionPort, duplicateHandle, virtualAlloc
	createIoCompletionPort = func(file, port windows.Handle, key uintptr, threads uint32) (windows.Handle, error) {
		if c.fails("CreateIoCompletionPort") {
			return 0, windows.ERROR_NO_SYSTEM_RESOURCES
		}
		h, err := create(file, port, key, threads)
		c.handles = append(c.handles, h)
		return h, err
	}
	duplicateHandle = func(from, h, to windows.Handle, copied *windows.Handle, access uint32, inherit bool, options uint32) error {
		if c.fails("DuplicateHandle") {
			return windows.ERROR_NO_SYSTEM_RESOURCES
		}
		err := duplicate(from, h, to, copied, access, inherit, options)
		c.handles = append(c.handles, *copied)
		return err
	}
	virtualAlloc = func(address, size uintptr, kind, protect uint32) (uintptr, error) {
		if c.fails("VirtualAlloc") {
			return 0, windows.ERROR_NO_SYSTEM_RESOURCES
		}
		p, err := alloc(address, size, kind, protect)
		c.reserved = append(c.reserved, p)
		return p, err
	}
	return func() { createIoCompletionPort, duplicateHandle, virtualAlloc = create, duplicate, alloc }
}

// left tells whether there still is anything of what the calls made.
func (c *calling) left(t *testing.T) bool {
	t.Helper()
	for _, h := range c.handles {
		var flags uint32
		if ok, _, _ := getHandleInformation.Call(uintptr(h), uintptr(unsafe.Pointer(&flags))); ok != 0 {
			return true
		}
	}
	for _, p := range c.reserved {
		var info windows.MemoryBasicInformation
		require.NoError(t, windows.VirtualQuery(p, &info, unsafe.Sizeof(info)))
		if info.State != 0x10000 /* MEM_FREE */ {
			return true
		}
	}
	return false
}

// Whichever call fails as a poller is made: NewPoller names it, and nothing is left.
func TestEachCallOfNewPollerFails(t *testing.T) {
	newPoller := func(n int) (*Poller, calling, error) {
		defer hideIdle()() // so that there is something to make
		c := calling{n: n}
		defer c.instead()()
		p, err := NewPoller()
		return p, c, err
	}
	var failed []string
	for n := 1; ; n++ {
		known := len(knownSets())
		p, c, err := newPoller(n)
		if c.failed == "" {
			require.NoError(t, err)
			require.True(t, c.left(t), "what is in use is seen as such")
			worksAndCloses(t, p)
			break
		}
		if err == nil { // memory at another address did: see address.Map
			require.Equal(t, "VirtualAlloc", c.failed)
			worksAndCloses(t, p)
			continue
		}
		failed = append(failed, c.failed)
		require.Nil(t, p)
		require.ErrorIs(t, err, windows.ERROR_NO_SYSTEM_RESOURCES)
		require.ErrorContains(t, err, c.failed)
		require.Equal(t, known, len(knownSets()), "it is listed")
		// Another thread may have taken what was free again: not every time.
		for tries := 0; c.left(t); tries++ {
			require.Less(t, tries, 20, "%s failed, and something was left behind", c.failed)
			_, c, _ = newPoller(n)
		}
	}
	require.Equal(t, []string{"CreateIoCompletionPort", "DuplicateHandle", "VirtualAlloc", "VirtualAlloc"}, failed)
}

// worksAndCloses checks that p works, and closes it.
func worksAndCloses(t *testing.T, p *Poller) {
	t.Helper()
	n, err := p.New()
	require.NoError(t, err)
	h := handleOf(t, n)
	settle(t, p)
	require.NoError(t, h.Notify())
	receive(t, n)
	require.NoError(t, p.Close())
}

// A Windows that lacks what a doorbell needs has none, and says what is missing.
func TestProcedureIsMissing(t *testing.T) {
	missing := windows.NewLazySystemDLL("kernel32.dll").NewProc("RingTheDoorbell")
	for _, proc := range []**windows.LazyProc{&getQueuedCompletionStatusEx, &compareObjectHandles} {
		there := *proc
		*proc = missing
		bell, err := openIOCP()
		*proc = there
		require.ErrorContains(t, err, "RingTheDoorbell")
		require.Nil(t, bell)
	}
	bell, err := openIOCP()
	require.NoError(t, err)
	bell.discard()
}
