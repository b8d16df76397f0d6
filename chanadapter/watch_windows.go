package chanadapter

// This file holds Windows' multiplexer: a completion port, which a waitable
// handle that is signalled posts to. Who waits for the handle is one of two: a
// wait completion packet of the kernel, where ntdll has them (they have been
// documented since Windows 8), else the system's thread pool. Both go past the 64
// handles of WaitForMultipleObjects, and both wait once and are then armed again.

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	errBadDescriptor = windows.ERROR_INVALID_HANDLE
	thing            = "handle"
	pollInvalid      = 0x4 // POLLNVAL
	pollHalfClosed   = 0   // there is no such bit
)

// pollBits are those of WSAPoll (winsock2.h).
var pollBits = []struct {
	event Events
	bit   int16
}{
	{EventRead, 0x300},     // POLLIN: POLLRDNORM and POLLRDBAND
	{EventWrite, 0x10},     // POLLOUT
	{EventPriority, 0x400}, // POLLPRI
	{EventHangUp, 0x2},     // POLLHUP
	{EventError, 0x1},      // POLLERR
}

// kindOf has one set for all: a wait takes the signal of some, which is gone then for a
// OneShot Watcher that is not armed.
func kindOf(uintptr) (kind, error) { return kind{forgets: true}, nil }

type portSet struct {
	port  windows.Handle
	twin  windows.Handle // the same port by a second handle: see intact
	waits waitKind
	ended atomic.Bool // shut was called

	mu       sync.Mutex
	entries  map[uintptr]*portEntry // by key
	byHandle map[uintptr]*portEntry // those whose handle has not been found to be another object's
	behind   bool                   // a wait that should be under way is not
}

// portEntry is a registration.
type portEntry struct {
	key    uintptr
	owners uintptr // the handle that was watched

	// object is a duplicate, so that a handle which its owner closes, and whose
	// number is used again, is told from this one, and is never waited for.
	object windows.Handle

	// consumed says that a wait takes the signal away, so that each is one event.
	// Anything else stays signalled: waiting for it again would not end.
	consumed bool

	oneShot bool
	armed   bool
	wait    windows.Handle // waitKind's
}

// waitKind is a way to have a port told of a signal.
type waitKind interface {
	// arm waits for e's object, once, and then posts e's key.
	arm(s *portSet, e *portEntry) error
	// disarm ends the wait, if there is one. Afterwards nothing more is posted.
	disarm(e *portEntry)
	// discard frees what arm made.
	discard(e *portEntry)
}

var _ multiplexer = (*portSet)(nil)

func newMultiplexer(kind) (multiplexer, error) {
	port, err := windows.CreateIoCompletionPort(windows.InvalidHandle, 0, 0, 1)
	if err != nil {
		return nil, os.NewSyscallError("CreateIoCompletionPort", err)
	}
	self := windows.CurrentProcess()
	var twin windows.Handle
	if err := windows.DuplicateHandle(self, port, self, &twin, 0, false, windows.DUPLICATE_SAME_ACCESS); err != nil {
		_ = windows.CloseHandle(port)
		return nil, os.NewSyscallError("DuplicateHandle", err)
	}
	return &portSet{
		port:     port,
		twin:     twin,
		waits:    bestWaits(),
		entries:  map[uintptr]*portEntry{},
		byHandle: map[uintptr]*portEntry{},
	}, nil
}

// intact reports whether port and twin are what they were. One whose number is another
// object's by now is not the other's twin any more.
func (s *portSet) intact() bool { return same(s.port, s.twin) }

// bestWaits is a variable for tests.
var bestWaits = func() waitKind {
	if packetsExist() {
		return packetWaits{}
	}
	return poolWaits{}
}

var errNoDirection error = &refusal{"a handle is signalled or not: there is no other interest than Readable", errors.ErrUnsupported}

func (s *portSet) add(fd, key uintptr, i wish) (Events, error) { return 0, s.register(fd, key, i) }

func (s *portSet) register(fd, key uintptr, i wish) error {
	if i.events != EventRead {
		return errNoDirection
	}
	// 0 and the small negative ones are no handles, though some stand for the
	// caller's own process or thread.
	if fd == 0 || int(fd) < 0 {
		return &refusal{"it is no handle that can be watched", windows.ERROR_INVALID_HANDLE}
	}
	if h := windows.Handle(fd); h == s.port || h == s.twin { // so it was free a moment ago
		return &refusal{"it is not open", windows.ERROR_INVALID_HANDLE}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.byHandle[fd]; before != nil && same(before.object, windows.Handle(fd)) {
		return errRegistered
	}
	e := &portEntry{key: key, owners: fd, oneShot: i.oneShot}
	self := windows.CurrentProcess()
	switch err := windows.DuplicateHandle(self, windows.Handle(fd), self, &e.object, 0, false, windows.DUPLICATE_SAME_ACCESS); err {
	case nil:
	case windows.ERROR_INVALID_HANDLE:
		return &refusal{"it is not open", err}
	default:
		return os.NewSyscallError("DuplicateHandle", err)
	}
	var err error
	if e.consumed, err = waitable(e.object); err == nil {
		err = s.arm(e)
	}
	if err != nil {
		_ = windows.CloseHandle(e.object)
		return err
	}
	s.entries[key], s.byHandle[fd] = e, e
	return nil
}

// arm begins e's wait. s.mu is held.
func (s *portSet) arm(e *portEntry) error {
	if !s.intact() {
		return errBroken
	}
	if err := s.waits.arm(s, e); err != nil {
		s.waits.discard(e)
		return err
	}
	e.armed = true
	return nil
}

func (s *portSet) modify(fd, key uintptr, i wish) (Events, error) {
	if i.events != EventRead {
		return 0, errNoDirection
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil || !same(e.object, windows.Handle(fd)) {
		return 0, errGone
	}
	e.oneShot = i.oneShot
	if e.armed {
		return 0, nil // a wait under way has looked
	}
	return 0, s.arm(e)
}

func (s *portSet) registered(fd, key uintptr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	return e != nil && same(e.object, windows.Handle(fd))
}

// renew is never called: a registration has its own duplicate, and can be removed.
func (s *portSet) renew() error { return errors.ErrUnsupported }

func (s *portSet) remove(_, key uintptr) (orphan bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		return false
	}
	delete(s.entries, key)
	if s.byHandle[e.owners] == e {
		delete(s.byHandle, e.owners)
	}
	s.end(e)
	return false
}

func (s *portSet) end(e *portEntry) {
	s.waits.disarm(e)
	s.waits.discard(e)
	_ = windows.CloseHandle(e.object)
}

func (s *portSet) abandon(key uintptr) (orphan bool) { return s.remove(0, key) }

func (s *portSet) wait(found func(key uintptr, e Events) (goOn bool)) error {
	for {
		if !s.intact() { // before anything is taken out of it
			return errBroken
		}
		var bytes uint32
		var key uintptr
		var overlapped *windows.Overlapped
		err := windows.GetQueuedCompletionStatus(s.port, &bytes, &key, &overlapped, uint32(watchInterval.Milliseconds()))
		switch {
		case s.ended.Load():
			return nil
		case err == nil:
			if s.fired(key) {
				_ = found(key, EventRead) // there are no orphans to stop for
			}
		case err == windows.Errno(windows.WAIT_TIMEOUT):
		default:
			return os.NewSyscallError("GetQueuedCompletionStatus", err) // the handle is another's
		}
		s.catchUp()
	}
}

// fired notes that key's wait is over, and begins the next one if there is more to
// hear. It reports whether anybody wants to know.
func (s *portSet) fired(key uintptr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		return false // removed meanwhile
	}
	e.armed = false
	if e.consumed && !e.oneShot {
		s.begin(e)
	}
	return true
}

// begin begins e's next wait. It has worked before: what can fail is memory, so it
// is tried again, after other events or at the self-check. s.mu is held.
func (s *portSet) begin(e *portEntry) {
	if s.arm(e) != nil {
		s.behind = true
	}
}

// catchUp begins the waits that could not be begun.
func (s *portSet) catchUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.behind {
		return
	}
	s.behind = false
	for _, e := range s.entries {
		if e.consumed && !e.oneShot && !e.armed {
			s.begin(e)
		}
	}
}

func (s *portSet) shut() {
	s.ended.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port == 0 || !s.intact() {
		return // and wait sees it at the latest after watchInterval
	}
	// If there is no memory for it, the goroutine finds out at its self-check.
	_ = windows.PostQueuedCompletionStatus(s.port, 0, 0, nil)
}

func (s *portSet) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		s.end(e)
	}
	clear(s.entries)
	clear(s.byHandle)
	if s.intact() { // else it cannot be told which is another's
		_ = windows.CloseHandle(s.port)
		_ = windows.CloseHandle(s.twin)
	}
	s.port, s.twin = 0, 0 // shut may come late
}

var (
	ntdll    = windows.NewLazySystemDLL("ntdll.dll")
	kernel32 = windows.NewLazySystemDLL("kernel32.dll")

	compareObjectHandles = windows.NewLazySystemDLL("kernelbase.dll").NewProc("CompareObjectHandles")
	queryObject          = ntdll.NewProc("NtQueryObject")
	queryEvent           = ntdll.NewProc("NtQueryEvent")
)

// same reports whether two handles are of one object. A closed one is of none.
func same(a, b windows.Handle) bool {
	ok, _, _ := compareObjectHandles.Call(uintptr(a), uintptr(b))
	return ok != 0
}

// waitable looks what h is: whether a wait takes its signal away; or why it cannot
// be waited for.
func waitable(h windows.Handle) (consumed bool, err error) {
	var basic struct { // OBJECT_BASIC_INFORMATION
		attributes, access, handles, pointers uint32
		reserved                              [10]uint32
	}
	if err := query(queryObject, h, 0, unsafe.Pointer(&basic), unsafe.Sizeof(basic)); err != nil {
		return false, err
	}
	if basic.access&windows.SYNCHRONIZE == 0 {
		return false, &refusal{"it does not have SYNCHRONIZE access, or is nothing that can be waited for", windows.ERROR_ACCESS_DENIED}
	}
	var kind struct { // OBJECT_TYPE_INFORMATION, with room for the name
		name windows.NTUnicodeString
		rest [256]uint64
	}
	if err := query(queryObject, h, 2, unsafe.Pointer(&kind), unsafe.Sizeof(kind)); err != nil {
		return false, err
	}
	switch kind.name.String() {
	case "Mutant":
		return false, &refusal{"it is a mutex, which whoever waits for it would own", windows.ERROR_INVALID_HANDLE}
	case "Semaphore":
		return true, nil
	case "Event":
		var event struct{ kind, state int32 } // EVENT_BASIC_INFORMATION
		err := query(queryEvent, h, 0, unsafe.Pointer(&event), unsafe.Sizeof(event))
		const synchronization = 1 // reset by a wait
		return err == nil && event.kind == synchronization, nil
	}
	return false, nil
}

func query(proc *windows.LazyProc, h windows.Handle, class uintptr, to unsafe.Pointer, size uintptr) error {
	if err := proc.Find(); err != nil {
		return err
	}
	if status, _, _ := syscall.SyscallN(proc.Addr(), uintptr(h), class, uintptr(to), size, 0); status != 0 {
		return fmt.Errorf("%s: %w", proc.Name, windows.NTStatus(status))
	}
	return nil
}

// packetWaits are wait completion packets: the kernel posts to the port, and no
// thread waits.
type packetWaits struct{}

var (
	createPacket    = ntdll.NewProc("NtCreateWaitCompletionPacket")
	associatePacket = ntdll.NewProc("NtAssociateWaitCompletionPacket")
	cancelPacket    = ntdll.NewProc("NtCancelWaitCompletionPacket")
)

func packetsExist() bool {
	return createPacket.Find() == nil && associatePacket.Find() == nil && cancelPacket.Find() == nil
}

func (packetWaits) arm(s *portSet, e *portEntry) error {
	if e.wait == 0 {
		const all = 1 // the only access right that there is
		if status, _, _ := syscall.SyscallN(createPacket.Addr(), uintptr(unsafe.Pointer(&e.wait)), all, 0); status != 0 {
			return fmt.Errorf("%s: %w", createPacket.Name, windows.NTStatus(status))
		}
	}
	// If it is signalled already the packet is posted at once.
	status, _, _ := syscall.SyscallN(associatePacket.Addr(), uintptr(e.wait), uintptr(s.port), uintptr(e.object), e.key, 0, 0, 0, 0)
	if status != 0 {
		return fmt.Errorf("%s: %w", associatePacket.Name, windows.NTStatus(status))
	}
	return nil
}

func (packetWaits) disarm(e *portEntry) {
	if e.wait != 0 {
		const removePosted = 1
		_, _, _ = syscall.SyscallN(cancelPacket.Addr(), uintptr(e.wait), removePosted)
	}
}

func (packetWaits) discard(e *portEntry) {
	if e.wait != 0 {
		_ = windows.CloseHandle(e.wait)
		e.wait = 0
	}
}

// poolWaits are RegisterWaitForSingleObject's: a thread of the system waits for up
// to 63 objects, and calls us back. In Wine that thread may still be waiting for an
// object just after its wait was unregistered, and take one signal with it.
type poolWaits struct{}

var (
	registerWait   = kernel32.NewProc("RegisterWaitForSingleObject")
	unregisterWait = kernel32.NewProc("UnregisterWaitEx")

	// poolKeys has the set of each armed key. The callback gets a key and not
	// a pointer, so that one that comes late finds nothing.
	poolKeys sync.Map // uintptr -> *portSet

	// poolCallback enters Go on a thread that is not Go's, which works on
	// Windows without cgo too: the runtime keeps a spare M for it
	// (runtime.needm). There is no end of callbacks to be made, so there is one.
	poolCallback = sync.OnceValue(func() uintptr {
		return windows.NewCallback(func(key, _ uintptr) uintptr {
			if s, ok := poolKeys.Load(key); ok && s.(*portSet).intact() {
				_ = windows.PostQueuedCompletionStatus(s.(*portSet).port, 0, key, nil)
			}
			return 0
		})
	})
)

func (w poolWaits) arm(s *portSet, e *portEntry) error {
	w.discard(e) // the one that is over
	poolKeys.Store(e.key, s)
	const (
		infinite     = 0xffffffff
		inWaitThread = 4 // WT_EXECUTEINWAITTHREAD: the callback does not block
		once         = 8 // WT_EXECUTEONLYONCE
	)
	ok, _, err := registerWait.Call(uintptr(unsafe.Pointer(&e.wait)), uintptr(e.object), poolCallback(), e.key, infinite, inWaitThread|once)
	if ok == 0 {
		return os.NewSyscallError("RegisterWaitForSingleObject", err)
	}
	return nil
}

func (w poolWaits) disarm(e *portEntry) { w.discard(e) }

// discard returns when no callback runs any more.
func (poolWaits) discard(e *portEntry) {
	poolKeys.Delete(e.key)
	if e.wait != 0 {
		_, _, _ = unregisterWait.Call(uintptr(e.wait), uintptr(windows.InvalidHandle))
		e.wait = 0
	}
}
