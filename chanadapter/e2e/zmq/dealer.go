//go:build e2e && linux

package zmq

// This file holds a DEALER that has several requests under way, and a C thread with the
// ROUTER that answers them.

/*
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define AGAIN(call) ({ int rc_; while ((rc_ = (call)) < 0 && errno == EINTR); rc_; }) // see zmq.go

typedef struct { uint64_t number; int64_t sent; } request;

typedef struct {
	void *context, *dealer, *router;
	pthread_t thread;
	uint64_t sent, received, window, total;
	int64_t *took; // by number
	int failed;
} dealing;

static int64_t monotonic(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// answer sends each message back, until the context ends.
static void *answer(void *arg) {
	dealing *d = arg;
	zmq_msg_t part;
	zmq_msg_init(&part);
	while (AGAIN(zmq_msg_recv(&part, d->router, 0)) >= 0) {
		int more = zmq_msg_more(&part);
		if (AGAIN(zmq_msg_send(&part, d->router, more ? ZMQ_SNDMORE : 0)) < 0) break;
	}
	zmq_close(d->router);
	return NULL;
}

static dealing *deal(uint64_t total, uint64_t window) {
	dealing *d = calloc(1, sizeof *d);
	char endpoint[256];
	size_t size = sizeof endpoint;
	int linger = 0;
	d->total = total;
	d->window = window;
	d->took = calloc(total, sizeof *d->took);
	d->context = zmq_ctx_new();
	d->router = zmq_socket(d->context, ZMQ_ROUTER);
	d->dealer = zmq_socket(d->context, ZMQ_DEALER);
	if (AGAIN(zmq_bind(d->router, "tcp://127.0.0.1:*")) || zmq_getsockopt(d->router, ZMQ_LAST_ENDPOINT, endpoint, &size) ||
	    zmq_setsockopt(d->dealer, ZMQ_LINGER, &linger, sizeof linger) || AGAIN(zmq_connect(d->dealer, endpoint)) ||
	    pthread_create(&d->thread, NULL, answer, d))
		d->failed = errno ? errno : 1;
	return d;
}

// ask sends one request.
static int ask(dealing *d) {
	request r = {d->sent, monotonic()};
	if (AGAIN(zmq_send(d->dealer, &r, sizeof r, 0)) != sizeof r) return -1;
	d->sent++;
	return 0;
}

// take notes a reply.
static int take(dealing *d, const request *r) {
	if (r->number >= d->total || d->took[r->number]) return -1; // not ours, or twice
	d->took[r->number] = monotonic() - r->sent + 1;
	d->received++;
	return 0;
}

// replies receives until ZMQ_EVENTS says that nothing is there.
static int replies(dealing *d) {
	for (;;) {
		int events;
		size_t size = sizeof events;
		request r;
		if (AGAIN(zmq_getsockopt(d->dealer, ZMQ_EVENTS, &events, &size))) return -1;
		if (!(events & ZMQ_POLLIN)) return 0;
		if (AGAIN(zmq_recv(d->dealer, &r, sizeof r, ZMQ_DONTWAIT)) != sizeof r || take(d, &r)) return -1;
	}
}

static int dealer_fd(dealing *d) {
	int fd = -1;
	size_t size = sizeof fd;
	return zmq_getsockopt(d->dealer, ZMQ_FD, &fd, &size) ? -1 : fd;
}

// by_poll does all by libzmq's own loop.
static int by_poll(dealing *d) {
	while (d->received < d->total) {
		while (d->sent < d->total && d->sent - d->received < d->window)
			if (ask(d)) return -1;
		zmq_pollitem_t item = {d->dealer, 0, ZMQ_POLLIN, 0};
		if (AGAIN(zmq_poll(&item, 1, -1)) < 0 || replies(d)) return -1;
	}
	return 0;
}

// by_thread does all in a thread that blocks in zmq_recv.
static int by_thread(dealing *d) {
	while (d->received < d->total) {
		while (d->sent < d->total && d->sent - d->received < d->window)
			if (ask(d)) return -1;
		request r;
		if (AGAIN(zmq_recv(d->dealer, &r, sizeof r, 0)) != sizeof r || take(d, &r)) return -1;
	}
	return 0;
}

static void dealt(dealing *d) {
	zmq_close(d->dealer);
	zmq_ctx_shutdown(d->context);
	pthread_join(d->thread, NULL);
	AGAIN(zmq_ctx_term(d->context));
	free(d->took);
	free(d);
}
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// Dealer is a DEALER socket, to be used by one goroutine at a time, whose requests a
// thread answers.
type Dealer struct{ d *C.dealing }

// NewDealer makes one for so many requests in all.
func NewDealer(total, window int) (*Dealer, error) {
	d := &Dealer{C.deal(C.uint64_t(total), C.uint64_t(window))}
	if d.d.failed != 0 {
		return nil, fmt.Errorf("no DEALER and ROUTER: %d", d.d.failed)
	}
	return d, nil
}

// FD returns the socket's ZMQ_FD.
func (d *Dealer) FD() uintptr { return uintptr(C.dealer_fd(d.d)) }

// Ask sends a request.
func (d *Dealer) Ask() error { return d.result("zmq_send", C.ask(d.d)) }

// Replies receives all replies that are there.
func (d *Dealer) Replies() error { return d.result("a reply", C.replies(d.d)) }

// ByPoll and ByThread do all requests, in the calling thread.
func (d *Dealer) ByPoll() error   { return d.result("zmq_poll", C.by_poll(d.d)) }
func (d *Dealer) ByThread() error { return d.result("zmq_recv", C.by_thread(d.d)) }

func (*Dealer) result(what string, rc C.int) error {
	if rc != 0 {
		return fmt.Errorf("%s failed", what)
	}
	return nil
}

// Sent and Received are how many there were so far.
func (d *Dealer) Sent() int     { return int(d.d.sent) }
func (d *Dealer) Received() int { return int(d.d.received) }

// Took returns how long each request took.
func (d *Dealer) Took() []time.Duration {
	took := make([]time.Duration, d.d.total)
	for i, t := range unsafe.Slice(d.d.took, len(took)) {
		took[i] = time.Duration(t)
	}
	return took
}

// Close ends both.
func (d *Dealer) Close() { C.dealt(d.d) }
