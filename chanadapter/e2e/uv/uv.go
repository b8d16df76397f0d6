//go:build e2e && linux

package uv

// This file holds the C side: loops, their callbacks, and a sending thread.

/*
#cgo pkg-config: libuv
#cgo CFLAGS: -I${SRCDIR}/../../../notifier
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include "notifier.h"

// A loop on a thread of its own. Each time that its async handle is called, it
// answers by notifying Go.
typedef struct {
	uv_loop_t loop;
	uv_async_t async;
	notifier_handle go;
	uint64_t asked, answered; // by Go; by the callback
	int stop, failed;
	pthread_t thread;
} echo;

static void echo_called(uv_async_t *a) {
	echo *e = a->data;
	if (__atomic_load_n(&e->stop, __ATOMIC_SEQ_CST)) {
		uv_close((uv_handle_t *)a, NULL);
		return;
	}
	__atomic_store_n(&e->answered, __atomic_load_n(&e->asked, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
	if (notifier_notify(e->go) < 0) __atomic_store_n(&e->failed, 1, __ATOMIC_SEQ_CST);
}

static void *echo_run(void *arg) {
	echo *e = arg;
	uv_run(&e->loop, UV_RUN_DEFAULT);
	return NULL;
}

static int echo_start(echo *e) {
	int rc = uv_loop_init(&e->loop);
	if (rc == 0) rc = uv_async_init(&e->loop, &e->async, echo_called);
	e->async.data = e;
	return rc ? rc : pthread_create(&e->thread, NULL, echo_run, e);
}

static int echo_ask(echo *e, uint64_t n) {
	__atomic_store_n(&e->asked, n, __ATOMIC_SEQ_CST);
	return uv_async_send(&e->async);
}

static uint64_t echo_answered(echo *e) { return __atomic_load_n(&e->answered, __ATOMIC_SEQ_CST); }

static int echo_stop(echo *e) {
	__atomic_store_n(&e->stop, 1, __ATOMIC_SEQ_CST);
	int rc = uv_async_send(&e->async);
	pthread_join(e->thread, NULL);
	if (rc == 0) rc = uv_loop_close(&e->loop);
	return e->failed ? -1 : rc;
}

// A loop that a goroutine runs. A thread sends to it, each time when the last
// one was seen; a timer repeats, if it is asked for.
typedef struct {
	uv_loop_t loop;
	uv_async_t async;
	uv_timer_t timer;
	uint64_t total, sent, seen, ticks;
	int64_t sent_at;
	pthread_t thread;
} embedded;

static void embedded_called(uv_async_t *a) {
	embedded *e = a->data;
	__atomic_store_n(&e->seen, __atomic_load_n(&e->sent, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

static void embedded_ticked(uv_timer_t *t) { ((embedded *)t->data)->ticks++; }

static void *embedded_send(void *arg) {
	embedded *e = arg;
	for (uint64_t n = 1; n <= e->total; n++) {
		__atomic_store_n(&e->sent_at, (int64_t)uv_hrtime(), __ATOMIC_SEQ_CST);
		__atomic_store_n(&e->sent, n, __ATOMIC_SEQ_CST);
		if (uv_async_send(&e->async)) abort();
		while (__atomic_load_n(&e->seen, __ATOMIC_SEQ_CST) < n) usleep(5);
	}
	return NULL;
}

static int embedded_start(embedded *e, int timer_ms) {
	int rc = uv_loop_init(&e->loop);
	if (rc == 0) rc = uv_async_init(&e->loop, &e->async, embedded_called);
	if (rc == 0) rc = uv_timer_init(&e->loop, &e->timer);
	e->async.data = e->timer.data = e;
	if (rc == 0 && timer_ms) rc = uv_timer_start(&e->timer, embedded_ticked, timer_ms, timer_ms);
	return rc ? rc : pthread_create(&e->thread, NULL, embedded_send, e);
}

static int64_t embedded_age(embedded *e) { return uv_hrtime() - __atomic_load_n(&e->sent_at, __ATOMIC_SEQ_CST); }

static int embedded_stop(embedded *e) {
	pthread_join(e->thread, NULL);
	uv_close((uv_handle_t *)&e->async, NULL);
	uv_close((uv_handle_t *)&e->timer, NULL);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&e->loop);
}
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	// It embeds notifier.h: so the go command sees when that changes.
	_ "github.com/wakechan/wakechan/notifier"
)

func failure(rc C.int) error {
	if rc == 0 {
		return nil
	}
	return fmt.Errorf("libuv: %s", C.GoString(C.uv_strerror(rc)))
}

// Echo is a loop on a C thread, which notifies a handle whenever it was asked.
type Echo struct{ e *C.echo }

// NewEcho starts one.
func NewEcho(handle uint64) (*Echo, error) {
	e := (*C.echo)(C.calloc(1, C.sizeof_echo))
	e._go = C.notifier_handle(handle)
	return &Echo{e}, failure(C.echo_start(e))
}

// Ask sends number n to the loop, by uv_async_send.
func (e *Echo) Ask(n int) error { return failure(C.echo_ask(e.e, C.uint64_t(n))) }

// Answered returns the last number that the loop has answered.
func (e *Echo) Answered() int { return int(C.echo_answered(e.e)) }

// Stop ends the loop and its thread. The error says also if a notification failed.
func (e *Echo) Stop() error {
	defer C.free(unsafe.Pointer(e.e))
	return failure(C.echo_stop(e.e))
}

// Embedded is a loop that whoever holds it runs, and a C thread that sends to it.
type Embedded struct{ e *C.embedded }

// NewEmbedded makes one, whose thread sends total times, and which has a timer if
// its period is not 0.
func NewEmbedded(total int, timer time.Duration) (*Embedded, error) {
	e := (*C.embedded)(C.calloc(1, C.sizeof_embedded))
	e.total = C.uint64_t(total)
	return &Embedded{e}, failure(C.embedded_start(e, C.int(timer.Milliseconds())))
}

// FD returns uv_backend_fd.
func (e *Embedded) FD() uintptr { return uintptr(C.uv_backend_fd(&e.e.loop)) }

// Run calls the loop's callbacks for what is due, without waiting.
func (e *Embedded) Run() { C.uv_run(&e.e.loop, C.UV_RUN_NOWAIT) }

// Timeout returns when Run must be called though nothing happens, and false if
// never.
func (e *Embedded) Timeout() (time.Duration, bool) {
	ms := C.uv_backend_timeout(&e.e.loop)
	return time.Duration(ms) * time.Millisecond, ms >= 0
}

// Seen returns how many sends the loop has seen, and Ticks how often its timer
// has fired. Age is the time since the last send.
func (e *Embedded) Seen() int          { return int(e.e.seen) }
func (e *Embedded) Ticks() int         { return int(e.e.ticks) }
func (e *Embedded) Age() time.Duration { return time.Duration(C.embedded_age(e.e)) }

// Stop ends it, when all was sent.
func (e *Embedded) Stop() error {
	defer C.free(unsafe.Pointer(e.e))
	return failure(C.embedded_stop(e.e))
}
