// Package uring is the least of io_uring that the tests and an example need, by
// raw system calls: no-operations whose completions signal an eventfd. It is no
// library: see io_uring_setup(2), io_uring_enter(2) and io_uring_register(2).
package uring

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is an io_uring. One goroutine may submit and another may reap.
type Ring struct {
	fd      int
	rings   []byte // both rings: they share a mapping since Linux 5.4
	entries []byte

	sqHead, sqTail *uint32
	sqMask         uint32
	sqArray        []uint32
	sqes           []entry

	cqHead, cqTail *uint32
	cqMask         uint32
	cqes           []completion
}

// entry is struct io_uring_sqe, of which a no-operation needs little.
type entry struct {
	opcode, flags uint8
	_             [30]byte
	userData      uint64
	_             [24]byte
}

type completion struct {
	userData uint64
	result   int32
	_        uint32
}

type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
		_                                                           uint64
	}
	cq struct {
		head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
		_                                                           uint64
	}
}

const (
	featSingleMmap  = 1 << 0
	offSQEs         = 0x10000000
	opNop           = 0
	registerEventFD = 4
	entryAsync      = 1 << 4 // IOSQE_ASYNC: by a kernel thread, not within enter
)

// New returns a ring with room for entries submissions, a power of two, and twice
// as many completions. The error is the system's: ENOSYS or EPERM where there is
// no io_uring.
func New(entries uint32) (*Ring, error) {
	var p params
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &Ring{fd: int(fd)}
	if p.features&featSingleMmap == 0 {
		r.Close()
		return nil, os.NewSyscallError("io_uring_setup", unix.ENOSYS)
	}
	size := max(p.sq.array+p.sqEntries*4, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(completion{})))
	var err error
	if r.rings, err = unix.Mmap(r.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err == nil {
		r.entries, err = unix.Mmap(r.fd, offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(entry{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	}
	if err != nil {
		r.Close()
		return nil, os.NewSyscallError("mmap", err)
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[offset])) }
	r.sqHead, r.sqTail, r.sqMask = word(p.sq.head), word(p.sq.tail), *word(p.sq.ringMask)
	r.sqArray = unsafe.Slice(word(p.sq.array), p.sqEntries)
	r.sqes = unsafe.Slice((*entry)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.cqHead, r.cqTail, r.cqMask = word(p.cq.head), word(p.cq.tail), *word(p.cq.ringMask)
	r.cqes = unsafe.Slice((*completion)(unsafe.Pointer(&r.rings[p.cq.cqes])), p.cqEntries)
	return r, nil
}

// RegisterEventFD has the kernel add 1 to the eventfd whenever it has put
// completions in the ring.
func (r *Ring) RegisterEventFD(fd uintptr) error {
	n := int32(fd)
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerEventFD, uintptr(unsafe.Pointer(&n)), 1, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	return nil
}

// Nops submits count no-operations numbered from first: they complete within
// the call, or with async later, on a thread of the kernel. count must fit in the ring.
func (r *Ring) Nops(first uint64, count int, async bool) error {
	tail := *r.sqTail
	for i := range count {
		at := tail & r.sqMask
		e := entry{opcode: opNop, userData: first + uint64(i)}
		if async {
			e.flags = entryAsync
		}
		r.sqes[at], r.sqArray[at] = e, at
		tail++
	}
	atomic.StoreUint32(r.sqTail, tail)
	for count > 0 {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(count), 0, 0, 0, 0)
		if errno == 0 {
			count -= int(n)
		} else if errno != unix.EINTR && errno != unix.EAGAIN && errno != unix.EBUSY {
			return os.NewSyscallError("io_uring_enter", errno)
		}
	}
	return nil
}

// Reap calls each for all completions that are there, with their numbers, and
// returns how many there were.
func (r *Ring) Reap(each func(number uint64)) (n int) {
	head := *r.cqHead
	for ; head != atomic.LoadUint32(r.cqTail); n++ {
		each(r.cqes[head&r.cqMask].userData)
		head++
		atomic.StoreUint32(r.cqHead, head)
	}
	return n
}

// Close frees the ring. Nobody may use it any more.
func (r *Ring) Close() {
	if r.entries != nil {
		_ = unix.Munmap(r.entries)
	}
	if r.rings != nil {
		_ = unix.Munmap(r.rings)
	}
	_ = unix.Close(r.fd)
}
