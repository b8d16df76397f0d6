//go:build cgo

package main

// This file holds the foreign side: a thread that Go did not make and that never
// enters Go. The same in a library of yours needs notifier.h and a number. A second
// thread does enter Go, by a callback, so that the two can be compared.

/*
#cgo CFLAGS: -I${SRCDIR}/../../notifier
#cgo !windows LDFLAGS: -pthread
#cgo windows LDFLAGS: -static -pthread
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include "notifier.h"

struct shared { // Go: type shared in tick.go
	int64_t since;
	uint64_t sent;
};

struct thread {
	struct shared shared;
	notifier_handle handle;
	int64_t interval; // nanoseconds
	uint64_t count;
};

static int64_t monotonic(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void block_signals(void) { // they are for Go's threads
#ifndef _WIN32
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
#endif
}

static void sleep_until(int64_t then) {
	for (int64_t rest; (rest = then - monotonic()) > 0;) {
		struct timespec pause = {rest / 1000000000, rest % 1000000000};
		nanosleep(&pause, NULL);
	}
}

static void *tick(void *arg) {
	struct thread *t = arg;
	block_signals();
	int64_t next = monotonic();
	for (uint64_t i = 1; i <= t->count; i++) {
		next += t->interval;
		sleep_until(next);
		int64_t none = 0;
		__atomic_compare_exchange_n(&t->shared.since, &none, monotonic(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		__atomic_store_n(&t->shared.sent, i, __ATOMIC_SEQ_CST);
		if (notifier_notify(t->handle) < 0) { // the notifier was closed
			__atomic_store_n(&t->shared.sent, i - 1, __ATOMIC_SEQ_CST);
			break;
		}
	}
	return NULL;
}

extern void goTick(int64_t since); // callback_cgo.go: enters Go

// The same ticks as a library would announce them without notifier.h, each half an
// interval before that of tick.
static void *call_back(void *arg) {
	struct thread *t = arg;
	block_signals();
	int64_t next = monotonic() - t->interval / 2;
	for (uint64_t i = 1; i <= t->count; i++) {
		next += t->interval;
		sleep_until(next);
		goTick(monotonic());
	}
	return NULL;
}

static int start(struct thread *t, int calls_back) {
	pthread_attr_t attr;
	pthread_t id;
	int err = pthread_attr_init(&attr);
	if (err) return err;
	pthread_attr_setstacksize(&attr, 256 << 10); // there may be 10,000
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&id, &attr, calls_back ? call_back : tick, t);
	pthread_attr_destroy(&attr);
	return err;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/wakechan/wakechan/notifier"
)

// The two halves of shared have the same size, or this does not compile.
var _ = [1]struct{}{}[unsafe.Sizeof(shared{})-C.sizeof_struct_shared]

func init() {
	tickWithThread = func(t *ticker, h notifier.Handle) error {
		// The thread keeps this, so it is C's memory; and since nobody waits for
		// the thread, it is never freed.
		c := (*C.struct_thread)(C.calloc(1, C.sizeof_struct_thread))
		if c == nil {
			return errors.New("out of memory")
		}
		c.handle = C.notifier_handle(h)
		c.interval = C.int64_t(t.interval)
		c.count = C.uint64_t(t.count)
		t.shared = (*shared)(unsafe.Pointer(&c.shared))
		t.now = func() int64 { return int64(C.monotonic()) }
		start := func(callsBack C.int) error {
			if err := C.start(c, callsBack); err != 0 {
				return fmt.Errorf("pthread_create: %w", syscall.Errno(err))
			}
			return nil
		}
		t.start = func() error { return start(0) }
		t.callBack = func() error { return start(1) }
		return nil
	}
}
