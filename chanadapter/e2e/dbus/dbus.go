//go:build e2e && linux

package dbus

// This file holds the C side, a caller and a callee, and what drives them.

/*
#cgo pkg-config: dbus-1
#include <dbus/dbus.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BODY = 32 << 10 };

// watched is what a DBusWatch has of ours.
typedef struct { DBusWatch *watch; int fd, flags, enabled, gone; } watched;

typedef struct {
	DBusConnection *bus;
	char peer[256];        // of the caller: whom it calls
	uint64_t sent, got, wanted, window;
	int64_t *took;
	const char *wrong;
	watched *watches[64];  // as libdbus made them, never moved
	int nwatches;
	uint64_t changes;      // which changed, as bits
	int full;              // how often libdbus had to wait for room
	pthread_t thread;
} side;

static unsigned char body[BODY];

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void note(side *s, watched *w) {
	for (int i = 0; i < s->nwatches; i++)
		if (s->watches[i] == w) s->changes |= (uint64_t)1 << i;
}

static dbus_bool_t add_watch(DBusWatch *watch, void *arg) {
	side *s = arg;
	if (s->nwatches == 64) return FALSE;
	watched *w = calloc(1, sizeof *w);
	*w = (watched){watch, dbus_watch_get_unix_fd(watch), (int)dbus_watch_get_flags(watch), dbus_watch_get_enabled(watch), 0};
	s->watches[s->nwatches++] = w;
	dbus_watch_set_data(watch, w, NULL);
	note(s, w);
	return TRUE;
}

static void remove_watch(DBusWatch *watch, void *arg) {
	watched *w = dbus_watch_get_data(watch);
	w->enabled = 0;
	w->gone = 1;
	note(arg, w);
}

static void toggle_watch(DBusWatch *watch, void *arg) {
	side *s = arg;
	watched *w = dbus_watch_get_data(watch);
	w->enabled = dbus_watch_get_enabled(watch);
	if (w->enabled && w->flags & DBUS_WATCH_WRITABLE) s->full++;
	note(s, w);
}

static void numbers(side *s, DBusMessage *m, dbus_uint64_t *number, dbus_int64_t *sent) {
	unsigned char *bytes;
	int n;
	if (dbus_message_get_type(m) == DBUS_MESSAGE_TYPE_METHOD_CALL) {
		if (!dbus_message_get_args(m, NULL, DBUS_TYPE_UINT64, number, DBUS_TYPE_INT64, sent, DBUS_TYPE_ARRAY, DBUS_TYPE_BYTE, &bytes, &n,
				DBUS_TYPE_INVALID) || n != BODY || memcmp(bytes, body, BODY))
			s->wrong = "a call is not what was sent";
	} else if (!dbus_message_get_args(m, NULL, DBUS_TYPE_UINT64, number, DBUS_TYPE_INT64, sent, DBUS_TYPE_INVALID))
		s->wrong = "an answer is not what was sent";
}

// on_message is of both sides: the callee gets calls and answers, the caller gets answers.
static DBusHandlerResult on_message(DBusConnection *bus, DBusMessage *m, void *arg) {
	side *s = arg;
	int type = dbus_message_get_type(m);
	dbus_uint64_t number = 0;
	dbus_int64_t sent = 0;
	if (type == DBUS_MESSAGE_TYPE_ERROR) s->wrong = dbus_message_get_error_name(m);
	if (type == DBUS_MESSAGE_TYPE_METHOD_CALL && !dbus_message_is_method_call(m, "org.wakechan.Test", "Take"))
		return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
	if (type != DBUS_MESSAGE_TYPE_METHOD_CALL && type != DBUS_MESSAGE_TYPE_METHOD_RETURN) return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
	if (type == DBUS_MESSAGE_TYPE_METHOD_RETURN && !dbus_message_has_signature(m, "tx")) return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
	numbers(s, m, &number, &sent);
	if (number != s->got || s->got == s->wanted) {
		s->wrong = "a message is missing or came twice";
		return DBUS_HANDLER_RESULT_HANDLED;
	}
	s->took[s->got] = now() - sent;
	__atomic_add_fetch(&s->got, 1, __ATOMIC_SEQ_CST);
	if (type == DBUS_MESSAGE_TYPE_METHOD_CALL) {
		DBusMessage *answer = dbus_message_new_method_return(m);
		dbus_message_append_args(answer, DBUS_TYPE_UINT64, &number, DBUS_TYPE_INT64, &sent, DBUS_TYPE_INVALID);
		dbus_connection_send(bus, answer, NULL);
		dbus_message_unref(answer);
		s->sent++;
	}
	return DBUS_HANDLER_RESULT_HANDLED;
}

static side *join(const char *address, uint64_t wanted, uint64_t window, const char *peer) {
	dbus_threads_init_default();
	for (int i = 0; i < BODY; i++) body[i] = (unsigned char)(i * 31);
	side *s = calloc(1, sizeof *s);
	s->wanted = wanted;
	s->window = window;
	s->took = calloc(wanted, sizeof *s->took);
	if (peer) strncpy(s->peer, peer, sizeof s->peer - 1);
	s->bus = dbus_connection_open_private(address, NULL);
	if (!s->bus || !dbus_bus_register(s->bus, NULL)) return s->wrong = "no connection to the bus", s;
	dbus_connection_set_exit_on_disconnect(s->bus, FALSE);
	dbus_connection_add_filter(s->bus, on_message, s, NULL);
	return s;
}

static int by_watches(side *s) {
	return dbus_connection_set_watch_functions(s->bus, add_watch, remove_watch, toggle_watch, s, NULL);
}

// calls fills the window: libdbus queues what the socket has no room for.
static void calls(side *s) {
	if (s->sent - s->got > s->window / 2) return;
	for (; s->sent < s->wanted && s->sent - s->got < s->window; s->sent++) {
		DBusMessage *m = dbus_message_new_method_call(s->peer, "/", "org.wakechan.Test", "Take");
		dbus_uint64_t number = s->sent;
		dbus_int64_t at = now();
		const unsigned char *bytes = body;
		dbus_message_append_args(m, DBUS_TYPE_UINT64, &number, DBUS_TYPE_INT64, &at, DBUS_TYPE_ARRAY, DBUS_TYPE_BYTE, &bytes, (int)BODY,
			DBUS_TYPE_INVALID);
		if (!dbus_connection_send(s->bus, m, NULL)) s->wrong = "dbus_connection_send failed";
		dbus_message_unref(m);
	}
}

static void dispatch(side *s) {
	while (dbus_connection_dispatch(s->bus) == DBUS_DISPATCH_DATA_REMAINS) {}
}

static void handle(side *s, watched *w, unsigned flags) {
	if (w->gone || !w->enabled) return;
	dbus_watch_handle(w->watch, flags);
	dispatch(s);
}

// libdbus's own loop, which is a thread each.
static void *loop(void *arg) {
	side *s = arg;
	while (s->got < s->wanted && !s->wrong) {
		if (s->peer[0]) calls(s);
		if (!dbus_connection_read_write_dispatch(s->bus, -1)) break;
	}
	dbus_connection_flush(s->bus);
	return NULL;
}

static int start(side *s) { return pthread_create(&s->thread, NULL, loop, s); }

static void leave(side *s) {
	if (s->bus) {
		dbus_connection_set_watch_functions(s->bus, NULL, NULL, NULL, NULL, NULL);
		dbus_connection_close(s->bus);
		dbus_connection_unref(s->bus);
	}
	for (int i = 0; i < s->nwatches; i++) free(s->watches[i]);
	free(s->took);
	free(s);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/chanadapter"
)

// Side is a connection to the bus, used by one goroutine at a time.
type Side struct {
	c        *C.side
	watchers [64]*chanadapter.Watcher // by the number of libdbus's watch
}

// watch is which of a side's watches a Watcher is for.
type watch struct {
	s *Side
	i int
}

// Join connects to the bus. Whoever has a peer calls it, and has so many calls under way.
func Join(address string, wanted, window int, peer string) (*Side, error) {
	cAddress := C.CString(address)
	defer C.free(unsafe.Pointer(cAddress))
	var cPeer *C.char
	if peer != "" {
		cPeer = C.CString(peer)
		defer C.free(unsafe.Pointer(cPeer))
	}
	s := &Side{c: C.join(cAddress, C.uint64_t(wanted), C.uint64_t(window), cPeer)}
	return s, s.Err()
}

// Name is what the bus calls it.
func (s *Side) Name() string { return C.GoString(C.dbus_bus_get_unique_name(s.c.bus)) }

// Err is what went wrong.
func (s *Side) Err() error {
	if s.c.wrong != nil {
		return errors.New(C.GoString(s.c.wrong))
	}
	return nil
}

// ByGroup has libdbus say what to watch.
func (s *Side) ByGroup(g *chanadapter.Group) error {
	if C.by_watches(s.c) == 0 {
		return errors.New("dbus_connection_set_watch_functions failed")
	}
	return s.follow(g)
}

// follow does what libdbus wishes. Its two watches of a socket are two Watchers of one
// descriptor. One that libdbus has turned off stays: it is one-shot, and has at most one
// more token to give.
func (s *Side) follow(g *chanadapter.Group) error {
	for ; s.c.changes != 0; s.c.changes &= s.c.changes - 1 {
		i := bits.TrailingZeros64(uint64(s.c.changes))
		c, w := s.c.watches[i], s.watchers[i]
		switch asked := wanted(c.flags); {
		case c.gone != 0:
			_ = w.Close()
		case c.enabled == 0:
		case w != nil:
			if err := w.Change(asked, chanadapter.OneShot()); err != nil {
				return err
			}
		default:
			var err error
			if s.watchers[i], err = chanadapter.Watch(uintptr(c.fd), asked, chanadapter.OneShot(),
				chanadapter.In(g), chanadapter.WithValue(watch{s, i})); err != nil {
				return err
			}
		}
	}
	return s.Err()
}

func wanted(flags C.int) chanadapter.Option {
	if flags&C.DBUS_WATCH_WRITABLE != 0 {
		return chanadapter.Writable()
	}
	return chanadapter.Readable()
}

// Found goes on with a watch of which g has told.
func Found(g *chanadapter.Group, w *chanadapter.Watcher, e chanadapter.Events) error {
	at := w.Value().(watch)
	c := at.s.c.watches[at.i]
	flags := C.uint(0)
	for _, m := range []struct {
		e    chanadapter.Events
		flag C.uint
	}{
		{chanadapter.EventRead, C.DBUS_WATCH_READABLE}, {chanadapter.EventWrite, C.DBUS_WATCH_WRITABLE},
		{chanadapter.EventHangUp, C.DBUS_WATCH_HANGUP}, {chanadapter.EventError, C.DBUS_WATCH_ERROR},
	} {
		if e&m.e != 0 {
			flags |= m.flag
		}
	}
	C.handle(at.s.c, c, flags)
	if c.enabled != 0 {
		at.s.c.changes |= 1 << at.i // libdbus takes a part of what is there
	}
	return at.s.follow(g)
}

// Call calls the peer, as often as there may be calls under way.
func (s *Side) Call(g *chanadapter.Group) error {
	C.calls(s.c)
	return s.follow(g)
}

// Start has a thread do all, and Wait waits for it.
func (s *Side) Start() error {
	if rc := C.start(s.c); rc != 0 {
		return fmt.Errorf("pthread_create: %d", rc)
	}
	return nil
}

// Wait waits for the thread of Start.
func (s *Side) Wait() error {
	C.pthread_join(s.c.thread, nil)
	return s.Err()
}

// Sent and Received are how many messages there were: calls, or answers.
func (s *Side) Sent() int     { return int(s.c.sent) }
func (s *Side) Received() int { return int(s.c.got) }

// Full is how often the socket had no room.
func (s *Side) Full() int { return int(s.c.full) }

// Took returns how long each message was under way; to the caller, with the answer.
func (s *Side) Took() []time.Duration {
	took := make([]time.Duration, s.c.got)
	for i, t := range unsafe.Slice(s.c.took, len(took)) {
		took[i] = time.Duration(t)
	}
	return took
}

// Close leaves the bus.
func (s *Side) Close() {
	for _, w := range s.watchers {
		_ = w.Close()
	}
	C.leave(s.c)
}
