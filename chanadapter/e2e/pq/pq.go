//go:build e2e && linux

package pq

// This file holds the C side: connections that count what they are told, and a thread
// that tells it.

/*
#cgo pkg-config: libpq
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

typedef struct {
	PGconn *pg;
	uint64_t got, wanted;
	int64_t *took;
	uint64_t rows, bytes; // of results
	const char *wrong;
	pthread_t thread;
} connection;

static connection *begin(const char *info, uint64_t wanted) {
	connection *c = calloc(1, sizeof *c);
	c->pg = PQconnectStart(info);
	c->wanted = wanted;
	c->took = calloc(wanted, sizeof *c->took);
	return c;
}

// notifications counts those that libpq has read, which come in order.
static int notifications(connection *c) {
	for (PGnotify *n; (n = PQnotifies(c->pg));) {
		unsigned long long number;
		long long sent;
		if (sscanf(n->extra, "%llu %lld", &number, &sent) != 2 || number != c->got || c->got == c->wanted)
			c->wrong = "a notification is missing or came twice";
		else
			c->took[c->got++] = now() - sent;
		PQfreemem(n);
	}
	return c->wrong ? -1 : 0;
}

// consume takes what has arrived.
static int consume(connection *c) {
	if (!PQconsumeInput(c->pg)) return c->wrong = PQerrorMessage(c->pg), -1;
	return notifications(c);
}

// results takes what has been answered: 1 if there may be more to come, 0 if that was all.
static int results(connection *c) {
	while (!PQisBusy(c->pg)) {
		PGresult *r = PQgetResult(c->pg);
		if (!r) return 0;
		ExecStatusType status = PQresultStatus(r);
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) c->wrong = PQerrorMessage(c->pg);
		for (int i = 0; status == PGRES_TUPLES_OK && i < PQntuples(r) && PQnfields(r) == 2; i++) {
			const char *text = PQgetvalue(r, i, 1);
			int length = PQgetlength(r, i, 1);
			if (strtoull(PQgetvalue(r, i, 0), NULL, 10) != c->rows) c->wrong = "a row is missing";
			for (int j = 0; j < length; j++)
				if (text[j] != 'a' + (int)(c->rows % 26)) c->wrong = "a row is not what was sent";
			c->rows++;
			c->bytes += length;
		}
		PQclear(r);
		if (c->wrong) return 0;
	}
	return 1;
}

static void finish(connection *c) {
	PQfinish(c->pg);
	free(c->took);
	free(c);
}

// The thread that notifies: batches with a pause between.
typedef struct {
	const char *info;
	uint64_t batches, batch;
	int pause_us, failed;
	pthread_t thread;
} sender;

static void *notify(void *arg) {
	sender *s = arg;
	PGconn *pg = PQconnectdb(s->info);
	for (uint64_t b = 0; b < s->batches && !s->failed; b++) {
		char statement[256];
		snprintf(statement, sizeof statement, "select pg_notify('news', (%llu + i) || ' %lld') from generate_series(0, %llu) i",
			(unsigned long long)(b * s->batch), (long long)now(), (unsigned long long)(s->batch - 1));
		PGresult *r = PQexec(pg, statement);
		if (PQresultStatus(r) != PGRES_TUPLES_OK) s->failed = 1;
		PQclear(r);
		usleep(s->pause_us);
	}
	PQfinish(pg);
	return NULL;
}

static int start(sender *s) { return pthread_create(&s->thread, NULL, notify, s); }

// What one does without: a thread for each connection, or poll(2) for all.
static void *listen_thread(void *arg) {
	connection *c = arg;
	while (c->got < c->wanted) {
		struct pollfd p = {PQsocket(c->pg), POLLIN, 0};
		if (poll(&p, 1, -1) > 0 && consume(c)) break;
	}
	return NULL;
}

static int start_thread(connection *c) { return pthread_create(&c->thread, NULL, listen_thread, c); }

static int poll_all(connection **c, int n) {
	struct pollfd p[n];
	for (;;) {
		int left = 0;
		for (int i = 0; i < n; i++) {
			p[i] = (struct pollfd){PQsocket(c[i]->pg), POLLIN, 0};
			left += c[i]->got < c[i]->wanted;
		}
		if (!left) return 0;
		if (poll(p, n, -1) < 0 && errno != EINTR) return -1;
		for (int i = 0; i < n; i++)
			if (p[i].revents && consume(c[i])) return -1;
	}
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

// Conn is a connection, used by one goroutine at a time.
type Conn struct {
	c *C.connection
	w *chanadapter.Watcher

	connected bool
	query     string // to be sent when the connection is there
	busy      bool   // with the query
	unsent    bool   // libpq has output that the socket had no room for
}

// Begin begins to connect. wanted is how many notifications will come.
func Begin(info string, wanted int) (*Conn, error) {
	cInfo := C.CString(info)
	defer C.free(unsafe.Pointer(cInfo))
	c := &Conn{c: C.begin(cInfo, C.uint64_t(wanted))}
	if C.PQstatus(c.c.pg) == C.CONNECTION_BAD {
		return nil, c.failure("PQconnectStart")
	}
	return c, nil
}

func (c *Conn) failure(what string) error {
	return fmt.Errorf("%s: %s", what, C.GoString(C.PQerrorMessage(c.c.pg)))
}

// watch has g tell when c can go on. libpq may have closed the socket before and opened
// another, often with the same number (PQconnectPoll): then Change says so.
//
// libpq reads a part of what is there, and counts on being called again: so the
// Watcher is one-shot.
func (c *Conn) watch(g *chanadapter.Group, e chanadapter.Events) (err error) {
	if c.w != nil && c.w.Change(chanadapter.Interest(e), chanadapter.OneShot()) == nil {
		return nil
	}
	_ = c.w.Close()
	c.w, err = chanadapter.Watch(uintptr(C.PQsocket(c.c.pg)), chanadapter.Interest(e), chanadapter.OneShot(),
		chanadapter.In(g), chanadapter.WithValue(c))
	return err
}

// Connect is called first, and then whenever g has told of c, until it is connected.
// It then sends the query that is set.
func (c *Conn) Connect(g *chanadapter.Group, first bool) error {
	if first { // as if PQconnectPoll had returned this: see its manual
		return c.watch(g, chanadapter.EventWrite)
	}
	switch C.PQconnectPoll(c.c.pg) {
	case C.PGRES_POLLING_READING:
		return c.watch(g, chanadapter.EventRead)
	case C.PGRES_POLLING_WRITING:
		return c.watch(g, chanadapter.EventWrite)
	case C.PGRES_POLLING_OK:
		c.connected = true
		if C.PQsetnonblocking(c.c.pg, 1) != 0 {
			return c.failure("PQsetnonblocking")
		}
		return c.Send(g, c.query)
	default:
		return c.failure("PQconnectPoll")
	}
}

// Send sends a query.
func (c *Conn) Send(g *chanadapter.Group, query string) error {
	cQuery := C.CString(query)
	defer C.free(unsafe.Pointer(cQuery))
	if C.PQsendQuery(c.c.pg, cQuery) == 0 {
		return c.failure("PQsendQuery")
	}
	c.busy = true
	return c.flush(g)
}

// flush sends what it can, and watches for the rest.
func (c *Conn) flush(g *chanadapter.Group) error {
	left := C.PQflush(c.c.pg)
	if left < 0 {
		return c.failure("PQflush")
	}
	if c.unsent = left > 0; c.unsent {
		return c.watch(g, chanadapter.EventRead|chanadapter.EventWrite)
	}
	return c.watch(g, chanadapter.EventRead)
}

// Found goes on with c, of which g has told.
func (c *Conn) Found(g *chanadapter.Group) error {
	if !c.connected {
		return c.Connect(g, false)
	}
	if C.consume(c.c) != 0 {
		return errors.New(C.GoString(c.c.wrong))
	}
	if c.busy {
		c.busy = C.results(c.c) != 0
		if c.c.wrong != nil {
			return errors.New(C.GoString(c.c.wrong))
		}
		// Notifications may have come with the results. There must be no second
		// PQconsumeInput: what that takes in nobody would look at.
		if C.notifications(c.c) != 0 {
			return errors.New(C.GoString(c.c.wrong))
		}
	}
	return c.flush(g)
}

// Got is how many notifications came; Complete, whether all did.
func (c *Conn) Got() int       { return int(c.c.got) }
func (c *Conn) Complete() bool { return c.c.got == c.c.wanted }

// Rows and Bytes are of the results.
func (c *Conn) Rows() int  { return int(c.c.rows) }
func (c *Conn) Bytes() int { return int(c.c.bytes) }

// Took returns how long each notification was under way.
func (c *Conn) Took() []time.Duration {
	took := make([]time.Duration, c.c.got)
	for i, t := range unsafe.Slice(c.c.took, len(took)) {
		took[i] = time.Duration(t)
	}
	return took
}

// Close ends the connection.
func (c *Conn) Close() {
	_ = c.w.Close()
	C.finish(c.c)
}

// Sender notifies from a thread.
type Sender struct{ s *C.sender }

// Notify begins to send batches of notifications, with a pause after each.
func Notify(info string, batches, batch int, pause time.Duration) (*Sender, error) {
	s := &Sender{(*C.sender)(C.calloc(1, C.sizeof_sender))}
	s.s.info = C.CString(info)
	s.s.batches, s.s.batch, s.s.pause_us = C.uint64_t(batches), C.uint64_t(batch), C.int(pause.Microseconds())
	if rc := C.start(s.s); rc != 0 {
		return nil, fmt.Errorf("pthread_create: %d", rc)
	}
	return s, nil
}

// Wait waits until all were sent.
func (s *Sender) Wait() error {
	C.pthread_join(s.s.thread, nil)
	defer C.free(unsafe.Pointer(s.s))
	defer C.free(unsafe.Pointer(s.s.info))
	if s.s.failed != 0 {
		return errors.New("pg_notify failed")
	}
	return nil
}

// ByThreads receives in a thread for each connection. It calls running while they do.
func ByThreads(all []*Conn, running func()) error {
	for _, c := range all {
		if rc := C.start_thread(c.c); rc != 0 {
			return fmt.Errorf("pthread_create: %d", rc)
		}
	}
	running()
	for _, c := range all {
		C.pthread_join(c.c.thread, nil)
	}
	return wrong(all)
}

// ByPoll receives by poll(2), in the calling thread.
func ByPoll(all []*Conn) error {
	list := (**C.connection)(C.calloc(C.size_t(len(all)), C.size_t(unsafe.Sizeof(uintptr(0)))))
	defer C.free(unsafe.Pointer(list))
	for i, c := range all {
		unsafe.Slice(list, len(all))[i] = c.c
	}
	if C.poll_all(list, C.int(len(all))) != 0 {
		return errors.Join(errors.New("poll failed"), wrong(all))
	}
	return wrong(all)
}

func wrong(all []*Conn) error {
	for _, c := range all {
		if c.c.wrong != nil {
			return errors.New(C.GoString(c.c.wrong))
		}
	}
	return nil
}
