//go:build cgo

package main

// This file holds the thread: in C, unknown to Go, with real-time priority if the
// system lets it. From its first block to its last it takes no lock, allocates
// nothing and calls nothing that waits, but for the clock.

/*
#cgo CFLAGS: -I${SRCDIR}/../../notifier -I${SRCDIR}/../../ring
#cgo !windows LDFLAGS: -pthread -lm
#cgo windows LDFLAGS: -static -pthread -lm
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include "ring.h"

struct level { // Go: type level in main.go
	uint64_t block;
	float peak[2];
};

struct card {
	notifier_ring ring;
	notifier_handle ended; // notified at the end
	int64_t period;        // nanoseconds
	uint64_t blocks;
	uint64_t pushed;  // result: blocks that were pushed, those that found no room included
	int64_t longest;  // result: nanoseconds of the longest push
	pthread_t thread;
};

static int64_t monotonic(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// The block's samples: two tones, one for each channel, that swell and fade.
static struct level measure(uint64_t block) {
	struct level l = {block, {0, 0}};
	for (int i = 0; i < 64; i++) {
		double t = (double)(block * 64 + (uint64_t)i) / 48000;
		for (int c = 0; c < 2; c++) {
			float sample = (float)fabs(sin(t * (c ? 1660 : 2764)) * (0.5 + 0.49 * sin(t * (c ? 5 : 3))));
			if (sample > l.peak[c]) l.peak[c] = sample;
		}
	}
	return l;
}

static void *play(void *arg) {
	struct card *c = arg;
#ifndef _WIN32
	sigset_t all; // signals are for Go's threads
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	struct sched_param real_time = {.sched_priority = 1};
	(void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &real_time); // needs a privilege; goes without
#endif
	int64_t due = monotonic();
	for (uint64_t i = 0; i < c->blocks; i++) {
		due += c->period;
		for (int64_t rest; (rest = due - monotonic()) > 0;) { // until the card has the block
			struct timespec pause = {rest / 1000000000, rest % 1000000000};
			nanosleep(&pause, NULL);
		}
		struct level l = measure(i);
		int64_t began = monotonic();
		int code = notifier_ring_push(c->ring, &l, sizeof l);
		int64_t took = monotonic() - began;
		if (code == NOTIFIER_CLOSED) break;
		c->pushed++;
		if (took > c->longest) c->longest = took;
	}
	notifier_notify(c->ended);
	return NULL;
}

static int card_start(struct card *c) { return pthread_create(&c->thread, NULL, play, c); }
static void card_join(struct card *c) { pthread_join(c->thread, NULL); }
*/
import "C"

import (
	"context"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/notifier"
	"github.com/wakechan/wakechan/ring"
)

const who = "a C thread pushes a level for each block of 64 frames"

type thread struct {
	c    *C.struct_card
	done chan struct{}
}

// startThread starts a thread that pushes so many blocks; done is closed after it.
func startThread(r *ring.Ring, blocks int, period time.Duration) (*thread, error) {
	ring, err := r.Handle()
	if err != nil {
		return nil, err
	}
	n := notifier.New()
	ended, err := n.Handle()
	if err != nil {
		_ = n.Close()
		return nil, err
	}
	t := &thread{(*C.struct_card)(C.calloc(1, C.sizeof_struct_card)), make(chan struct{})}
	t.c.ring, t.c.ended = C.notifier_ring(ring), C.notifier_handle(ended)
	t.c.blocks, t.c.period = C.uint64_t(blocks), C.int64_t(period)
	if e := C.card_start(t.c); e != 0 {
		C.free(unsafe.Pointer(t.c))
		_ = n.Close()
		return nil, fmt.Errorf("pthread_create: %w", syscall.Errno(e))
	}
	go func() {
		_ = n.Wait(context.Background())
		C.card_join(t.c) // it is at its end
		_ = n.Close()
		close(t.done)
	}()
	return t, nil
}

// pushed is for after done, as longest is.
func (t *thread) pushed() int { return int(t.c.pushed) }

func (t *thread) longest() time.Duration {
	d := time.Duration(t.c.longest)
	C.free(unsafe.Pointer(t.c))
	t.c = nil
	return d
}
