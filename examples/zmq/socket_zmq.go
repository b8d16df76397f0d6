//go:build zmq && cgo

package main

// This file holds the socket and the thread that pushes to it.

/*
#cgo pkg-config: libzmq
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

typedef struct {
	void *context, *pull;
	int bursts, burst, gap_us;
	pthread_t thread;
} pair;

static void *push(void *arg) {
	pair *p = arg;
	void *s = zmq_socket(p->context, ZMQ_PUSH);
	int ok = zmq_connect(s, "inproc://bursts") == 0;
	for (int b = 0; ok && b < p->bursts; b++, usleep(p->gap_us))
		for (int i = 0; ok && i < p->burst; i++)
			ok = zmq_send(s, &i, sizeof i, 0) >= 0;
	zmq_close(s);
	return NULL;
}

static int start(pair *p) {
	p->context = zmq_ctx_new();
	p->pull = zmq_socket(p->context, ZMQ_PULL);
	if (zmq_bind(p->pull, "inproc://bursts")) return zmq_errno();
	return pthread_create(&p->thread, NULL, push, p);
}

static int descriptor(pair *p) {
	int fd = -1;
	size_t size = sizeof fd;
	zmq_getsockopt(p->pull, ZMQ_FD, &fd, &size);
	return fd;
}

// drain receives until ZMQ_EVENTS says that there is no more.
static int drain(pair *p) {
	int n = 0, events, number;
	size_t size = sizeof events;
	while (zmq_getsockopt(p->pull, ZMQ_EVENTS, &events, &size) == 0 && events & ZMQ_POLLIN)
		n += zmq_recv(p->pull, &number, sizeof number, ZMQ_DONTWAIT) >= 0;
	return n;
}

static void end(pair *p) {
	zmq_ctx_shutdown(p->context); // in case the thread waits for room
	zmq_close(p->pull);
	pthread_join(p->thread, NULL);
	zmq_ctx_term(p->context);
	free(p);
}
*/
import "C"

import (
	"fmt"
	"time"
)

type pair struct{ p *C.pair }

func init() {
	open = func(bursts, burst int, gap time.Duration) (socket, error) {
		p := (*C.pair)(C.calloc(1, C.sizeof_pair))
		p.bursts, p.burst, p.gap_us = C.int(bursts), C.int(burst), C.int(gap.Microseconds())
		if e := C.start(p); e != 0 {
			return nil, fmt.Errorf("libzmq: %s", C.GoString(C.zmq_strerror(e)))
		}
		return pair{p}, nil
	}
}

func (s pair) fd() uintptr { return uintptr(C.descriptor(s.p)) }
func (s pair) drain() int  { return int(C.drain(s.p)) }
func (s pair) close()      { C.end(s.p) }
