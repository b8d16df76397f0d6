//go:build zmq && cgo

package main

// This file holds the socket and the thread that answers it.

/*
#cgo pkg-config: libzmq
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <zmq.h>

typedef struct {
	void *context, *dealer, *router;
	pthread_t thread;
} pair;

// Each call polls a descriptor of libzmq's own, and a signal ends that with EINTR. Go
// preempts goroutines by signals, and one that is for the process may come to any thread.
#define AGAIN(call) ({ int rc_; while ((rc_ = (call)) < 0 && zmq_errno() == EINTR); rc_; })

// answer sends each message back, until the context ends.
static void *answer(void *arg) {
	pair *p = arg;
	zmq_msg_t part;
	zmq_msg_init(&part);
	while (AGAIN(zmq_msg_recv(&part, p->router, 0)) >= 0 &&
	       AGAIN(zmq_msg_send(&part, p->router, zmq_msg_more(&part) ? ZMQ_SNDMORE : 0)) >= 0)
		;
	zmq_close(p->router);
	return NULL;
}

static int start(pair *p) {
	int linger = 0;
	p->context = zmq_ctx_new();
	p->router = zmq_socket(p->context, ZMQ_ROUTER);
	p->dealer = zmq_socket(p->context, ZMQ_DEALER);
	if (zmq_setsockopt(p->dealer, ZMQ_LINGER, &linger, sizeof linger) ||
	    AGAIN(zmq_bind(p->router, "inproc://echo")) || AGAIN(zmq_connect(p->dealer, "inproc://echo")))
		return zmq_errno();
	return pthread_create(&p->thread, NULL, answer, p);
}

static int descriptor(pair *p) {
	int fd = -1;
	size_t size = sizeof fd;
	zmq_getsockopt(p->dealer, ZMQ_FD, &fd, &size);
	return fd;
}

static int ask(pair *p) {
	static int number;
	number++;
	return AGAIN(zmq_send(p->dealer, &number, sizeof number, 0)) < 0 ? zmq_errno() : 0;
}

// drain receives until ZMQ_EVENTS says that there is no more.
static int drain(pair *p) {
	for (int n = 0, number, events;;) {
		size_t size = sizeof events;
		if (AGAIN(zmq_getsockopt(p->dealer, ZMQ_EVENTS, &events, &size)) || !(events & ZMQ_POLLIN)) return n;
		n += AGAIN(zmq_recv(p->dealer, &number, sizeof number, ZMQ_DONTWAIT)) >= 0;
	}
}

static void end(pair *p) {
	zmq_close(p->dealer);
	zmq_ctx_shutdown(p->context); // ends the thread
	pthread_join(p->thread, NULL);
	AGAIN(zmq_ctx_term(p->context));
	free(p);
}
*/
import "C"

import "fmt"

type pair struct{ p *C.pair }

func init() {
	open = func() (socket, error) {
		p := (*C.pair)(C.calloc(1, C.sizeof_pair))
		if e := C.start(p); e != 0 {
			return nil, fmt.Errorf("libzmq: %s", C.GoString(C.zmq_strerror(e)))
		}
		return pair{p}, nil
	}
}

func (s pair) fd() uintptr { return uintptr(C.descriptor(s.p)) }
func (s pair) drain() int  { return int(C.drain(s.p)) }
func (s pair) close()      { C.end(s.p) }
func (s pair) send() error {
	if e := C.ask(s.p); e != 0 {
		return fmt.Errorf("libzmq: %s", C.GoString(C.zmq_strerror(e)))
	}
	return nil
}
