//go:build e2e && linux

package zmq

// This file holds the C side: a thread that pushes, and the calls of a puller.

/*
#cgo pkg-config: libzmq
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

typedef struct { uint64_t number; int64_t sent; } record;

typedef struct {
	void *context;
	char endpoint[256];
	uint64_t total;
	unsigned seed;
	uint64_t received; // by the puller; the next burst waits for it
	int lockstep;
	int gap_us;
	int failed;
	pthread_t thread;
} pusher;

// Each call polls a descriptor of libzmq's own, and a signal ends that with EINTR. Go
// preempts goroutines by signals, and one that is for the process may come to any thread.
#define AGAIN(call) ({ int rc_; while ((rc_ = (call)) < 0 && errno == EINTR); rc_; })

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// push sends bursts of 1 to 200 records. In lockstep each burst waits until the
// one before was received; otherwise for the gap.
static void *push(void *arg) {
	pusher *p = arg;
	int none = 0;
	void *s = zmq_socket(p->context, ZMQ_PUSH);
	if (!s || zmq_setsockopt(s, ZMQ_SNDHWM, &none, sizeof none) || AGAIN(zmq_connect(s, p->endpoint))) {
		__atomic_store_n(&p->failed, errno ? errno : 1, __ATOMIC_SEQ_CST);
		return NULL;
	}
	for (uint64_t sent = 0; sent < p->total;) {
		uint64_t burst = 1 + rand_r(&p->seed) % 200;
		for (; burst > 0 && sent < p->total; burst--, sent++) {
			record r = {sent, now()};
			if (AGAIN(zmq_send(s, &r, sizeof r, 0)) != sizeof r) {
				__atomic_store_n(&p->failed, errno ? errno : 1, __ATOMIC_SEQ_CST);
				return NULL;
			}
		}
		if (p->lockstep)
			while (__atomic_load_n(&p->received, __ATOMIC_SEQ_CST) < sent) usleep(20);
		else
			usleep(p->gap_us);
	}
	zmq_close(s); // its messages are sent all the same
	return NULL;
}

static void *pull_socket(void *context, char *endpoint, size_t size) {
	int none = 0;
	void *s = zmq_socket(context, ZMQ_PULL);
	if (s && zmq_setsockopt(s, ZMQ_RCVHWM, &none, sizeof none) == 0 && AGAIN(zmq_bind(s, "tcp://127.0.0.1:*")) == 0 &&
	    zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0)
		return s;
	if (s) zmq_close(s);
	return NULL;
}

static int start(pusher *p) { return pthread_create(&p->thread, NULL, push, p); }

// drain receives until ZMQ_EVENTS says that nothing is there. It returns how
// many, at most max, or -1.
static int drain(void *s, record *out, int64_t *at, int max) {
	int n = 0;
	while (n < max) {
		int events;
		size_t size = sizeof events;
		if (AGAIN(zmq_getsockopt(s, ZMQ_EVENTS, &events, &size))) return -1;
		if (!(events & ZMQ_POLLIN)) break;
		if (AGAIN(zmq_recv(s, &out[n], sizeof *out, ZMQ_DONTWAIT)) != sizeof *out) return -1;
		at[n++] = now();
	}
	return n;
}

static int descriptor(void *s) {
	int fd = -1;
	size_t size = sizeof fd;
	return zmq_getsockopt(s, ZMQ_FD, &fd, &size) ? -1 : fd;
}

static void terminate(void *context) { AGAIN(zmq_ctx_term(context)); }
static void ack(pusher *p, uint64_t n) { __atomic_store_n(&p->received, n, __ATOMIC_SEQ_CST); }
static int failed(pusher *p) { return __atomic_load_n(&p->failed, __ATOMIC_SEQ_CST); }
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// Pair is a PULL socket, to be used by one goroutine at a time, and a C thread
// that pushes to it over TCP.
type Pair struct {
	context unsafe.Pointer
	socket  unsafe.Pointer
	p       *C.pusher
	records [4096]C.record
	at      [4096]C.int64_t
}

// Start begins to push total records, in bursts with a gap between, or, if the
// gap is 0, with each burst waiting for Ack of the one before.
func Start(total int, gap time.Duration) (*Pair, error) {
	c := &Pair{context: C.zmq_ctx_new()}
	c.p = (*C.pusher)(C.calloc(1, C.sizeof_pusher))
	c.p.context, c.p.total, c.p.seed = c.context, C.uint64_t(total), 1
	c.p.gap_us = C.int(gap.Microseconds())
	if gap == 0 {
		c.p.lockstep = 1
	}
	c.socket = C.pull_socket(c.context, &c.p.endpoint[0], C.size_t(len(c.p.endpoint)))
	if c.socket == nil {
		return nil, fmt.Errorf("no PULL socket")
	}
	if rc := C.start(c.p); rc != 0 {
		return nil, fmt.Errorf("pthread_create: %d", rc)
	}
	return c, nil
}

// FD returns the socket's ZMQ_FD.
func (c *Pair) FD() uintptr { return uintptr(C.descriptor(c.socket)) }

// Drain receives what is there, and calls each with the record's number and how
// long it was under way.
func (c *Pair) Drain(each func(number uint64, age time.Duration)) error {
	for {
		n := C.drain(c.socket, &c.records[0], &c.at[0], C.int(len(c.records)))
		if n < 0 {
			return fmt.Errorf("the PULL socket failed")
		}
		for i, r := range c.records[:n] {
			each(uint64(r.number), time.Duration(c.at[i]-r.sent))
		}
		if int(n) < len(c.records) {
			if e := C.failed(c.p); e != 0 {
				return fmt.Errorf("the PUSH socket failed: %d", e)
			}
			return nil
		}
	}
}

// Ack says how many were received in all.
func (c *Pair) Ack(n int) { C.ack(c.p, C.uint64_t(n)) }

// Close ends both, which all records must have gone through.
func (c *Pair) Close() {
	C.pthread_join(c.p.thread, nil)
	C.zmq_close(c.socket)
	C.terminate(c.context)
	C.free(unsafe.Pointer(c.p))
}
