package main

// This file holds the Go side of foreign.h: jobs for C threads. What C calls
// back is in callback.go, since cgo wants that apart.

// #cgo CFLAGS: -O2 -Wall -Wno-unused-function -I${SRCDIR}/../notifier
// #cgo LDFLAGS: -lpthread
// #include "foreign.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// way is how a C thread wakes somebody: WAY_… in foreign.h.
type way int

const (
	wayNotifier       = way(C.WAY_NOTIFIER)
	wayCallback       = way(C.WAY_CALLBACK)
	wayCallbackHandle = way(C.WAY_CALLBACK_HANDLE)
	wayEventFD        = way(C.WAY_EVENTFD)
	wayPipe           = way(C.WAY_PIPE)
	wayFutex          = way(C.WAY_FUTEX)
	waySpin           = way(C.WAY_SPIN)
	wayFence          = way(C.WAY_FENCE)
	wayFunction       = way(C.WAY_FUNCTION)
	wayNothing        = way(C.WAY_NOTHING)
)

type jobKind int

const (
	jobRedundant = jobKind(C.JOB_REDUNDANT)
	jobRoundTrip = jobKind(C.JOB_ROUND_TRIP)
	jobCold      = jobKind(C.JOB_COLD)
	jobTimed     = jobKind(C.JOB_TIMED)
	jobAnswer    = jobKind(C.JOB_ANSWER)
	jobSee       = jobKind(C.JOB_SEE)
)

// job is work for one C thread.
type job struct {
	c    *C.job
	done *os.File
}

var doneFiles sync.Pool // of *os.File, eventfds in the netpoller

func newJob(kind jobKind, w way, target uint64, n, warm int) *job {
	j := &job{c: (*C.job)(C.calloc(1, C.sizeof_job))}
	if f, ok := doneFiles.Get().(*os.File); ok {
		j.done = f
	} else {
		j.done = newEventFile()
	}
	j.c.kind, j.c.way, j.c.target = C.int(kind), C.int(w), C.uint64_t(target)
	j.c.n, j.c.warm = C.int64_t(n), C.int64_t(warm)
	j.c.done_fd = C.int(descriptor(j.done))
	return j
}

func (j *job) start() {
	if err := C.job_start(j.c); err != 0 {
		panic(fmt.Sprint("pthread_create: ", unix.Errno(err)))
	}
}

// wait parks the goroutine until the thread is done. No P is held meanwhile.
func (j *job) wait() {
	var b [8]byte
	must1(j.done.Read(b[:]))
}

func (j *job) elapsed() time.Duration { return time.Duration(j.c.elapsed_ns) }
func (j *job) cpu() time.Duration     { return time.Duration(j.c.cpu_ns) }

func (j *job) free() {
	doneFiles.Put(j.done)
	C.free(unsafe.Pointer(j.c))
}

// realTime says of whose time a call is, in a section's text.
func realTime() string {
	if C.real_time_allowed() != 0 {
		return "The thread is real-time (SCHED_FIFO), as an engine's would be: the kernel's queue for a processor, which the collector uses too, does not count."
	}
	return "The system does not let the thread be real-time: the kernel's queue for a processor, which the collector uses too, counts as well."
}

// register is how a library keeps a callback and its argument: a target of
// wayFunction.
func register(function unsafe.Pointer, argument uint64) (target uint64, free func()) {
	r := C.new_registered(function, C.uint64_t(argument))
	return uint64(uintptr(unsafe.Pointer(r))), func() { C.free(unsafe.Pointer(r)) }
}

// barrier is C's, for jobs that start together.
type barrier struct{ c *C.pthread_barrier_t }

func newBarrier(n int) barrier {
	b := barrier{(*C.pthread_barrier_t)(C.malloc(C.sizeof_pthread_barrier_t))}
	C.pthread_barrier_init(b.c, nil, C.uint(n))
	return b
}

func (b barrier) free() {
	C.pthread_barrier_destroy(b.c)
	C.free(unsafe.Pointer(b.c))
}

// cNumbers is memory for n numbers that a C thread writes.
func cNumbers(n int) []int64 {
	return unsafe.Slice((*int64)(C.calloc(C.size_t(n), 8)), n)
}

func freeNumbers(s []int64) { C.free(unsafe.Pointer(unsafe.SliceData(s))) }

func (j *job) setStamps(s []int64) { j.c.stamps = (*C.int64_t)(unsafe.SliceData(s)) }

func (j *job) setSent(count []int64) {
	j.c.sent = (*C.atomic_number)(unsafe.Pointer(unsafe.SliceData(count)))
}

func sentCount(count []int64) int { return int(atomic.LoadInt64(&count[0])) }

// burst wakes all targets from the calling goroutine's own thread.
func burst(w way, targets []uint64) {
	C.wake_each(C.int(w), (*C.uint64_t)(unsafe.SliceData(targets)), C.int64_t(len(targets)))
}

// clockOffset is what C's CLOCK_MONOTONIC reads when goClock is zero.
var clockOffset = func() int64 {
	best := int64(1 << 62)
	var offset int64
	for range 1000 {
		a := time.Since(processStart)
		c := int64(C.now_ns())
		b := time.Since(processStart)
		if took := int64(b - a); took < best {
			best, offset = took, c-int64(a+b)/2
		}
	}
	return offset
}()

// foreignClock is C's now_ns without a cgo call, right to within some 50 ns.
func foreignClock() int64 { return int64(time.Since(processStart)) + clockOffset }

// newEventFD returns a nonblocking eventfd.
func newEventFD(flags int) int {
	return must1(unix.Eventfd(0, unix.EFD_CLOEXEC|flags))
}

// newEventFile returns an eventfd that the netpoller waits for.
func newEventFile() *os.File {
	return os.NewFile(uintptr(newEventFD(unix.EFD_NONBLOCK)), "eventfd")
}

// descriptor returns f's descriptor without making it blocking, as Fd would.
func descriptor(f *os.File) int {
	var fd int
	must(must1(f.SyscallConn()).Control(func(n uintptr) { fd = int(n) }))
	return fd
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func must1[T any](v T, err error) T {
	must(err)
	return v
}

func (j *job) setReply(fd int) { j.c.reply_fd = C.int(fd) }
func (j *job) setWait(fd int)  { j.c.wait_fd = C.int(fd) }

func (j *job) setFutexes(wait, reply unsafe.Pointer) {
	j.c.wait_futex, j.c.reply_futex = (*C.uint32_t)(wait), (*C.uint32_t)(reply)
}

func (j *job) setPeriod(d time.Duration) { j.c.period_ns = C.int64_t(d) }

func (j *job) setSentStamps(s []int64) { j.c.sent_stamps = (*C.int64_t)(unsafe.SliceData(s)) }
