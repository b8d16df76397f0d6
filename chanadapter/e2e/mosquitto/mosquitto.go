//go:build e2e && linux

package mosquitto

// This file holds the C side, clients that count what they get, and what drives them.

/*
#cgo pkg-config: libmosquitto
#include <errno.h>
#include <mosquitto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { uint64_t number; int64_t sent; } message;

typedef struct {
	struct mosquitto *m;
	int subscribes;
	int ready;      // connected, and subscribed if it does
	uint64_t got;   // messages; of a publisher: acknowledged
	uint64_t wanted;
	int64_t *took;
	int wrong;
} client;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void on_connect(struct mosquitto *m, void *arg, int rc) {
	client *c = arg;
	if (rc) c->wrong = rc;
	else if (c->subscribes) mosquitto_subscribe(m, NULL, "news", 1);
	else __atomic_store_n(&c->ready, 1, __ATOMIC_SEQ_CST);
}

static void on_subscribe(struct mosquitto *m, void *arg, int id, int n, const int *qos) {
	(void)m, (void)id, (void)n, (void)qos;
	__atomic_store_n(&((client *)arg)->ready, 1, __ATOMIC_SEQ_CST);
}

static void on_publish(struct mosquitto *m, void *arg, int id) {
	(void)m, (void)id;
	__atomic_add_fetch(&((client *)arg)->got, 1, __ATOMIC_SEQ_CST);
}

static void on_message(struct mosquitto *m, void *arg, const struct mosquitto_message *got) {
	client *c = arg;
	message x;
	(void)m;
	if (got->payloadlen < (int)sizeof x) {
		c->wrong = EPROTO;
		return;
	}
	memcpy(&x, got->payload, sizeof x);
	if (x.number != c->got || c->got == c->wanted) { // lost, twice, or in another order
		c->wrong = EPROTO;
		return;
	}
	c->took[c->got] = now() - x.sent;
	__atomic_add_fetch(&c->got, 1, __ATOMIC_SEQ_CST);
}

static client *make(int subscribes, uint64_t wanted) {
	mosquitto_lib_init();
	client *c = calloc(1, sizeof *c);
	c->subscribes = subscribes;
	c->wanted = wanted;
	c->took = calloc(wanted, sizeof *c->took);
	c->m = mosquitto_new(NULL, 1, c);
	mosquitto_connect_callback_set(c->m, on_connect);
	mosquitto_subscribe_callback_set(c->m, on_subscribe);
	mosquitto_message_callback_set(c->m, on_message);
	mosquitto_publish_callback_set(c->m, on_publish);
	return c;
}

static int publish(client *c, uint64_t number, int size) {
	char payload[4096] = {0};
	message x = {number, now()};
	memcpy(payload, &x, sizeof x);
	return mosquitto_publish(c->m, NULL, "news", size, payload, 1, 0);
}

static uint64_t count(client *c) { return __atomic_load_n(&c->got, __ATOMIC_SEQ_CST); }
static int is_ready(client *c) { return __atomic_load_n(&c->ready, __ATOMIC_SEQ_CST); }

static void end(client *c) {
	mosquitto_destroy(c->m);
	free(c->took);
	free(c);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/chanadapter"
)

// Client is one of libmosquitto's.
type Client struct {
	c *C.client
	w *chanadapter.Watcher

	up bool // there is a connection, or one that is being made
}

// NewClient makes a subscriber that is to get so many messages in all, or a publisher.
func NewClient(subscribes bool, wanted int) *Client {
	yes := C.int(0)
	if subscribes {
		yes = 1
	}
	return &Client{c: C.make(yes, C.uint64_t(wanted))}
}

func failure(what string, rc C.int) error {
	return fmt.Errorf("%s: %s", what, C.GoString(C.mosquitto_strerror(rc)))
}

// Connect tries to connect. It may be called until Up.
func (c *Client) Connect(g *chanadapter.Group, port int) error {
	host := C.CString("127.0.0.1")
	defer C.free(unsafe.Pointer(host))
	if rc := C.mosquitto_connect(c.c.m, host, C.int(port), 60); rc == C.MOSQ_ERR_ERRNO {
		return nil // refused: there is no broker
	} else if rc != 0 {
		return failure("mosquitto_connect", rc)
	}
	c.up = true
	return c.watch(g)
}

// watch has g tell when c can go on. The socket is another one after each connect, often
// with the same number: then Change says so.
//
// libmosquitto reads a part of what is there, and counts on being called again: so the
// Watcher is one-shot.
func (c *Client) watch(g *chanadapter.Group) (err error) {
	fd := C.mosquitto_socket(c.c.m)
	if fd < 0 {
		c.up, c.c.ready = false, 0
		err, c.w = c.w.Close(), nil
		return err
	}
	e := chanadapter.EventRead
	if C.mosquitto_want_write(c.c.m) {
		e |= chanadapter.EventWrite
	}
	if c.w != nil && c.w.Change(chanadapter.Interest(e), chanadapter.OneShot()) == nil {
		return nil
	}
	_ = c.w.Close()
	c.w, err = chanadapter.Watch(uintptr(fd), chanadapter.Interest(e), chanadapter.OneShot(),
		chanadapter.In(g), chanadapter.WithValue(c))
	return err
}

// Found goes on with c, of which g has told. A connection that has broken is no error:
// then Up is false.
func (c *Client) Found(g *chanadapter.Group, e chanadapter.Events) error {
	if e&^chanadapter.EventWrite != 0 {
		C.mosquitto_loop_read(c.c.m, 1)
	}
	if e&chanadapter.EventWrite != 0 && C.mosquitto_socket(c.c.m) >= 0 {
		C.mosquitto_loop_write(c.c.m, 1)
	}
	if c.c.wrong != 0 {
		return errors.New("a message was lost, or came twice")
	}
	return c.watch(g)
}

// Misc is for keep-alive, once a second.
func (c *Client) Misc(g *chanadapter.Group) error {
	if !c.up {
		return nil
	}
	C.mosquitto_loop_misc(c.c.m)
	return c.watch(g)
}

// Publish sends a message of size bytes.
func (c *Client) Publish(g *chanadapter.Group, number, size int) error {
	if rc := C.publish(c.c, C.uint64_t(number), C.int(size)); rc != 0 {
		return failure("mosquitto_publish", rc)
	}
	if g == nil {
		return nil
	}
	return c.watch(g)
}

// StartThread has a thread of libmosquitto's own do all.
func (c *Client) StartThread(port int) error {
	host := C.CString("127.0.0.1")
	defer C.free(unsafe.Pointer(host))
	if rc := C.mosquitto_connect(c.c.m, host, C.int(port), 60); rc != 0 {
		return failure("mosquitto_connect", rc)
	}
	if rc := C.mosquitto_loop_start(c.c.m); rc != 0 {
		return failure("mosquitto_loop_start", rc)
	}
	return nil
}

// StopThread ends it.
func (c *Client) StopThread() {
	C.mosquitto_disconnect(c.c.m)
	C.mosquitto_loop_stop(c.c.m, false)
}

func (c *Client) Up() bool    { return c.up }
func (c *Client) Ready() bool { return C.is_ready(c.c) != 0 }

// Got is how many messages came, or were acknowledged to a publisher.
func (c *Client) Got() int { return int(C.count(c.c)) }

// Took returns how long each message was under way.
func (c *Client) Took() []time.Duration {
	took := make([]time.Duration, c.c.wanted)
	for i, t := range unsafe.Slice(c.c.took, len(took)) {
		took[i] = time.Duration(t)
	}
	return took
}

// Close frees it.
func (c *Client) Close() {
	_ = c.w.Close()
	C.end(c.c)
}
