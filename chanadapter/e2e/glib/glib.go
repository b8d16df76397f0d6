//go:build e2e && linux

package glib

// This file holds the C side: pipes that are closed and made anew after each message,
// and a thread that writes to them.

/*
#cgo pkg-config: glib-2.0
#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PIPES = 16 };

typedef struct world world;

typedef struct {
	world *of;
	int r, w;
	GSource *source;
	pthread_t thread;
} slot;

struct world {
	GMainContext *context;
	slot slots[PIPES];
	uint64_t begun, wanted, got, timeouts;
	int64_t *took;
	int failed;

	pthread_mutex_t lock;
	pthread_cond_t there;
	int queue[PIPES], queued, over;
	pthread_t writer;
};

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// write_all is the thread that sends one message into each new pipe.
static void *write_all(void *arg) {
	world *w = arg;
	for (;;) {
		pthread_mutex_lock(&w->lock);
		while (!w->queued && !w->over) pthread_cond_wait(&w->there, &w->lock);
		if (!w->queued) {
			pthread_mutex_unlock(&w->lock);
			return NULL;
		}
		int fd = w->queue[--w->queued];
		pthread_mutex_unlock(&w->lock);
		int64_t at = now();
		if (write(fd, &at, sizeof at) != sizeof at) __atomic_store_n(&w->failed, errno ? errno : 1, __ATOMIC_SEQ_CST);
	}
}

static void send_to(world *w, int fd) {
	pthread_mutex_lock(&w->lock);
	w->queue[w->queued++] = fd;
	pthread_cond_signal(&w->there);
	pthread_mutex_unlock(&w->lock);
}

// renew makes a new pipe, whose numbers are most often those of the last one.
static int renew(slot *s) {
	int p[2];
	if (pipe(p)) return s->of->failed = errno, -1;
	s->r = p[0];
	s->w = p[1];
	s->of->begun++;
	return 0;
}

static int receive(slot *s) {
	world *w = s->of;
	int64_t at;
	if (read(s->r, &at, sizeof at) != sizeof at) return w->failed = errno ? errno : 1, -1;
	w->took[w->got++] = now() - at;
	close(s->r);
	close(s->w);
	return 0;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer arg);

static void attach(slot *s) {
	s->source = g_unix_fd_source_new(s->r, G_IO_IN);
	g_source_set_callback(s->source, (GSourceFunc)(void (*)(void))on_readable, s, NULL);
	g_source_attach(s->source, s->of->context);
	send_to(s->of, s->w);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer arg) {
	slot *s = arg;
	world *w = s->of;
	(void)fd;
	if (!(condition & G_IO_IN) || receive(s)) {
		w->failed = w->failed ? w->failed : EPROTO;
		return G_SOURCE_REMOVE;
	}
	g_source_unref(s->source);
	s->source = NULL;
	if (w->begun < w->wanted && !renew(s)) attach(s);
	return G_SOURCE_REMOVE;
}

static gboolean on_timeout(gpointer arg) {
	((world *)arg)->timeouts++;
	return G_SOURCE_CONTINUE;
}

static world *make(uint64_t wanted) {
	world *w = calloc(1, sizeof *w);
	w->wanted = wanted;
	w->took = calloc(wanted, sizeof *w->took);
	w->context = g_main_context_new();
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->there, NULL);
	GSource *every = g_timeout_source_new(5);
	g_source_set_callback(every, on_timeout, w, NULL);
	g_source_attach(every, w->context);
	g_source_unref(every);
	if (pthread_create(&w->writer, NULL, write_all, w)) w->failed = EAGAIN;
	return w;
}

static void begin(world *w) {
	for (int i = 0; i < PIPES; i++) {
		w->slots[i].of = w;
		if (!renew(&w->slots[i])) attach(&w->slots[i]);
	}
}

// The four steps of an iteration: glib's documentation of g_main_context_query.
static int prepare(world *w, int *priority, int *timeout, GPollFD *fds, int room) {
	g_main_context_prepare(w->context, priority);
	return g_main_context_query(w->context, *priority, timeout, fds, room);
}

static void dispatch(world *w, int priority, GPollFD *fds, int n) {
	if (g_main_context_check(w->context, priority, fds, n)) g_main_context_dispatch(w->context);
}

static void own_loop(world *w) {
	g_main_context_acquire(w->context);
	begin(w);
	while (w->got < w->wanted && !w->failed) g_main_context_iteration(w->context, TRUE);
	g_main_context_release(w->context);
}

// A thread for each pipe, without GLib.
static void *read_thread(void *arg) {
	slot *s = arg;
	world *w = s->of;
	for (;;) {
		int64_t at;
		if (read(s->r, &at, sizeof at) != sizeof at) return w->failed = 1, NULL;
		pthread_mutex_lock(&w->lock);
		w->took[w->got++] = now() - at;
		int more = w->begun < w->wanted;
		w->begun += more;
		pthread_mutex_unlock(&w->lock);
		close(s->r);
		close(s->w);
		if (!more) return NULL;
		int p[2];
		if (pipe(p)) return w->failed = 1, NULL;
		s->r = p[0];
		s->w = p[1];
		send_to(w, s->w);
	}
}

static void threads_begin(world *w) {
	for (int i = 0; i < PIPES; i++) {
		slot *s = &w->slots[i];
		s->of = w;
		if (renew(s)) return;
		send_to(w, s->w);
	}
	for (int i = 0; i < PIPES; i++)
		if (pthread_create(&w->slots[i].thread, NULL, read_thread, &w->slots[i])) abort();
}

static void threads_end(world *w) {
	for (int i = 0; i < PIPES; i++) pthread_join(w->slots[i].thread, NULL);
}

static void end(world *w) {
	pthread_mutex_lock(&w->lock);
	w->over = 1;
	pthread_cond_signal(&w->there);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->writer, NULL);
	g_main_context_unref(w->context);
	free(w->took);
	free(w);
}
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/wakechan/wakechan/chanadapter"
)

// World is a main context with pipes that are renewed after each message, so many times.
type World struct {
	c       *C.world
	Wakeups int
}

// New makes one.
func New(messages int) *World { return &World{c: C.make(C.uint64_t(messages))} }

// over says whether all came.
func (w *World) over() bool { return w.c.got >= w.c.wanted || w.c.failed != 0 }

func (w *World) result() error {
	if w.c.failed != 0 {
		return fmt.Errorf("a pipe failed: %d", w.c.failed)
	}
	return nil
}

// ByGroup is a main loop in Go. Between two rounds a number may have become another
// file's, with the same condition: a driver that compares the two would wait for ever for
// the old one. So each Watcher is told anew in each round: Change looks at the
// descriptor as poll(2) does, and fails if the number is another file's. It calls each
// after each wake-up.
func (w *World) ByGroup(ctx context.Context, each func()) error {
	runtime.LockOSThread() // a main context is a thread's
	defer runtime.UnlockOSThread()
	C.g_main_context_acquire(w.c.context)
	defer C.g_main_context_release(w.c.context)
	C.begin(w.c)

	g := chanadapter.NewGroup()
	defer g.Close()
	type watched struct {
		*chanadapter.Watcher
		round, index int
	}
	watchers := map[C.gint]*watched{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	fds := make([]C.GPollFD, 64)
	for round := 1; !w.over(); round++ {
		var priority, timeout C.int
		n := C.prepare(w.c, &priority, &timeout, &fds[0], C.int(len(fds)))
		if int(n) > len(fds) {
			fds = make([]C.GPollFD, 2*n)
			continue
		}
		for i := range fds[:n] {
			fd := fds[i].fd
			asked := chanadapter.Interest(chanadapter.FromPoll(int16(fds[i].events)))
			v := watchers[fd]
			if v == nil || v.Change(asked, chanadapter.OneShot()) != nil {
				if v != nil {
					_ = v.Close()
				}
				v = &watched{}
				var err error
				if v.Watcher, err = chanadapter.Watch(uintptr(fd), asked, chanadapter.OneShot(),
					chanadapter.In(g), chanadapter.WithValue(v)); err != nil {
					return err
				}
				watchers[fd] = v
			}
			v.round, v.index = round, i
			fds[i].revents = 0
		}
		for fd, v := range watchers {
			if v.round != round {
				_ = v.Close()
				delete(watchers, fd)
			}
		}

		var expired <-chan time.Time
		if timeout >= 0 {
			timer.Reset(time.Duration(timeout) * time.Millisecond)
			expired = timer.C
		}
		select {
		case <-g.C():
			w.Wakeups++
			each()
			for v, events := range g.Ready() {
				at := &fds[v.Value().(*watched).index]
				at.revents = C.gushort(events.Poll()) & (at.events | C.G_IO_HUP | C.G_IO_ERR)
			}
		case <-expired:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		C.dispatch(w.c, priority, &fds[0], n)
	}
	return w.result()
}

// ByItsLoop is GLib's own.
func (w *World) ByItsLoop() error {
	C.own_loop(w.c)
	return w.result()
}

// ByThreads has a thread in read(2) for each pipe. It calls running while they are.
func (w *World) ByThreads(running func()) error {
	C.threads_begin(w.c)
	running()
	C.threads_end(w.c)
	return w.result()
}

// Sent and Received are how many messages there were.
func (w *World) Sent() int     { return int(w.c.begun) }
func (w *World) Received() int { return int(w.c.got) }

// Timeouts is how often the main loop's timeout came.
func (w *World) Timeouts() int { return int(w.c.timeouts) }

// Took returns how long each message was under way.
func (w *World) Took() []time.Duration {
	took := make([]time.Duration, w.c.got)
	for i, t := range unsafe.Slice(w.c.took, len(took)) {
		took[i] = time.Duration(t)
	}
	return took
}

// Close frees everything.
func (w *World) Close() { C.end(w.c) }
