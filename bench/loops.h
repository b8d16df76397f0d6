/* This file holds libuv's and libev's event loops as rivals: a thread that runs a loop with n async handles. Both are loaded
 * when the bench runs, if they are there (and were, with their headers, when it was built): it works without. */
#ifndef LOOPS_H
#define LOOPS_H

#include "foreign.h"
#include <dlfcn.h>

#if defined(__has_include)
#if __has_include(<uv.h>)
#define HAVE_UV 1
#include <uv.h>
#endif
#if __has_include(<ev.h>)
#define HAVE_EV 1
#include <ev.h>
#endif
#endif

enum { LIB_UV, LIB_EV };

typedef struct loop loop;

/* A handle of a loop, as a target for wake_loop. */
typedef struct loop_handle {
  loop *owner;
  union {
    void *pointer;
#ifdef HAVE_UV
    uv_async_t uv;
#endif
#ifdef HAVE_EV
    ev_async ev;
#endif
  } u;
} loop_handle;

struct loop {
  int lib;
  int64_t n;
  loop_handle *handles;
  loop_handle quit;
  pthread_t thread;
  int running;
  /* What a callback does. */
  int reply_fd;               /* not 0: written to at each, or when left gets to 0 */
  _Atomic int64_t left;       /* counted down if above 0 */
  int64_t *stamps;            /* not NULL: latencies, as in job_see */
  const int64_t *sent_stamps;
  atomic_number *sent;
  int64_t seen;
#ifdef HAVE_UV
  uv_loop_t uv;
#endif
#ifdef HAVE_EV
  struct ev_loop *ev;
#endif
};

static struct {
  void *uv, *ev;
#ifdef HAVE_UV
  int (*uv_loop_init)(uv_loop_t *);
  int (*uv_loop_close)(uv_loop_t *);
  int (*uv_run)(uv_loop_t *, uv_run_mode);
  int (*uv_async_init)(uv_loop_t *, uv_async_t *, uv_async_cb);
  int (*uv_async_send)(uv_async_t *);
  void (*uv_close)(uv_handle_t *, uv_close_cb);
  const char *(*uv_version_string)(void);
#endif
#ifdef HAVE_EV
  struct ev_loop *(*ev_loop_new)(unsigned int);
  void (*ev_loop_destroy)(struct ev_loop *);
  int (*ev_run)(struct ev_loop *, int);
  void (*ev_break)(struct ev_loop *, int);
  void (*ev_async_start)(struct ev_loop *, ev_async *);
  void (*ev_async_send)(struct ev_loop *, ev_async *);
#endif
} libs;

#define SYMBOL(lib, name) ((*(void **)&libs.name = dlsym(libs.lib, #name)) != NULL)

/* Whether lib can be measured. */
static int loop_available(int lib) {
  switch (lib) {
#ifdef HAVE_UV
  case LIB_UV:
    if (!libs.uv) libs.uv = dlopen("libuv.so.1", RTLD_NOW | RTLD_LOCAL);
    return libs.uv && SYMBOL(uv, uv_loop_init) && SYMBOL(uv, uv_loop_close) && SYMBOL(uv, uv_run) &&
           SYMBOL(uv, uv_async_init) && SYMBOL(uv, uv_async_send) && SYMBOL(uv, uv_close) && SYMBOL(uv, uv_version_string);
#endif
#ifdef HAVE_EV
  case LIB_EV:
    if (!libs.ev) libs.ev = dlopen("libev.so.4", RTLD_NOW | RTLD_LOCAL);
    return libs.ev && SYMBOL(ev, ev_loop_new) && SYMBOL(ev, ev_loop_destroy) && SYMBOL(ev, ev_run) && SYMBOL(ev, ev_break) &&
           SYMBOL(ev, ev_async_start) && SYMBOL(ev, ev_async_send);
#endif
  }
  return 0;
}

static inline void loop_send(loop_handle *h) {
#ifdef HAVE_UV
  if (h->owner->lib == LIB_UV) libs.uv_async_send(&h->u.uv);
#endif
#ifdef HAVE_EV
  if (h->owner->lib == LIB_EV) libs.ev_async_send(h->owner->ev, &h->u.ev);
#endif
}

static void loop_called(loop *l) {
  if (l->stamps) {
    int64_t t = now_ns(), sent = atomic_load(l->sent);
    for (; l->seen < sent; l->seen++) l->stamps[l->seen] = t - l->sent_stamps[l->seen];
    if (l->reply_fd && l->seen == l->n) put8(l->reply_fd);
    return;
  }
  if (atomic_load(&l->left) > 0 && atomic_fetch_sub(&l->left, 1) > 1) return;
  if (l->reply_fd) put8(l->reply_fd);
}

#ifdef HAVE_UV
static void uv_called(uv_async_t *a) { loop_called(a->data); }
static void uv_quit(uv_async_t *a) {
  loop *l = a->data;
  for (int64_t i = 0; i < l->n; i++) libs.uv_close((uv_handle_t *)&l->handles[i].u.uv, NULL);
  libs.uv_close((uv_handle_t *)a, NULL);
}
#endif
#ifdef HAVE_EV
static void ev_called(struct ev_loop *e, ev_async *a, int events) { (void)e; (void)events; loop_called(a->data); }
static void ev_quit(struct ev_loop *e, ev_async *a, int events) { (void)a; (void)events; libs.ev_break(e, EVBREAK_ALL); }
#endif

static void loop_add(loop *l, loop_handle *h, int quit) {
  h->owner = l;
#ifdef HAVE_UV
  if (l->lib == LIB_UV) {
    libs.uv_async_init(&l->uv, &h->u.uv, quit ? uv_quit : uv_called);
    h->u.uv.data = l;
  }
#endif
#ifdef HAVE_EV
  if (l->lib == LIB_EV) {
    ev_async_init(&h->u.ev, quit ? ev_quit : ev_called);
    h->u.ev.data = l;
    libs.ev_async_start(l->ev, &h->u.ev);
  }
#endif
}

static void *loop_main(void *arg) {
  loop *l = arg;
#ifdef HAVE_UV
  if (l->lib == LIB_UV) libs.uv_run(&l->uv, UV_RUN_DEFAULT);
#endif
#ifdef HAVE_EV
  if (l->lib == LIB_EV) libs.ev_run(l->ev, 0);
#endif
  return NULL;
}

/* A loop with n handles. It is not running yet: sends to it stay pending. */
static loop *loop_open(int lib, int64_t n) {
  loop *l = calloc(1, sizeof *l);
  l->lib = lib;
  l->n = n;
  l->handles = calloc((size_t)n, sizeof *l->handles);
#ifdef HAVE_UV
  if (lib == LIB_UV) libs.uv_loop_init(&l->uv);
#endif
#ifdef HAVE_EV
  if (lib == LIB_EV) l->ev = libs.ev_loop_new(0);
#endif
  for (int64_t i = 0; i < n; i++) loop_add(l, &l->handles[i], 0);
  loop_add(l, &l->quit, 1);
  return l;
}

/* What a handle of lib takes: libev also keeps an array of pointers to them. */
static size_t loop_handle_size(int lib) {
#ifdef HAVE_UV
  if (lib == LIB_UV) return sizeof(uv_async_t);
#endif
#ifdef HAVE_EV
  if (lib == LIB_EV) return sizeof(ev_async) + sizeof(ev_async *);
#endif
  return 0;
}

static void loop_start(loop *l) {
  l->running = 1;
  pthread_create(&l->thread, NULL, loop_main, l);
}

static void loop_close(loop *l) {
  if (!l->running) loop_start(l);
  loop_send(&l->quit);
  pthread_join(l->thread, NULL);
#ifdef HAVE_UV
  if (l->lib == LIB_UV) libs.uv_loop_close(&l->uv);
#endif
#ifdef HAVE_EV
  if (l->lib == LIB_EV) libs.ev_loop_destroy(l->ev);
#endif
  free(l->handles);
  free(l);
}

/* n sends back to back, by this thread, beside those that meet at the barrier. */
static int64_t loop_sends(loop *l, int64_t n, pthread_barrier_t *barrier) {
  for (int i = 0; i < 64; i++) loop_send(&l->handles[0]);
  pthread_barrier_wait(barrier);
  int64_t start = now_ns();
  for (int64_t i = 0; i < n; i++) loop_send(&l->handles[0]);
  return now_ns() - start;
}

/* n round trips; the answer comes as in job_round_trip. */
static int64_t loop_round_trips(loop *l, int64_t warm, int64_t n) {
  int64_t start = 0;
  l->reply_fd = eventfd(0, EFD_CLOEXEC);
  int ep = epoll_of(l->reply_fd);
  for (int64_t i = -warm; i < n; i++) {
    if (i == 0) start = now_ns();
    loop_send(&l->handles[0]);
    epoll_take(ep, l->reply_fd);
  }
  start = now_ns() - start;
  close(ep);
  close(l->reply_fd);
  l->reply_fd = 0;
  return start;
}

/* n ticks, as job_cold; l->n is set to n while it lasts. */
static void loop_ticks(loop *l, int64_t n, int64_t period, int64_t *stamps, int64_t *latencies, atomic_number *sent) {
  int64_t due = now_ns(), handles = l->n;
  int done = eventfd(0, EFD_CLOEXEC);
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  l->n = n;
  l->seen = 0;
  l->sent = sent;
  l->sent_stamps = stamps;
  l->reply_fd = done;
  atomic_thread_fence(memory_order_seq_cst);
  l->stamps = latencies;
  for (int64_t i = 0; i < n; i++) {
    due += period;
    sleep_until(due);
    stamps[i] = now_ns();
    atomic_store(sent, i + 1);
    loop_send(&l->handles[0]);
  }
  uint64_t count;
  while (read(done, &count, 8) < 0 && errno == EINTR) {
  }
  l->stamps = NULL;
  l->reply_fd = 0;
  l->n = handles;
  close(done);
}

/* bursts times: k sends to handles spread over all, and waiting until each was called. */
static int64_t loop_bursts(loop *l, int64_t k, int64_t bursts) {
  int done = eventfd(0, EFD_CLOEXEC);
  l->reply_fd = done;
  int64_t start = now_ns();
  for (int64_t b = 0; b < bursts; b++) {
    uint64_t count;
    /* One callback more than sends would be late for its own count: so it is set before. */
    atomic_store(&l->left, k);
    for (int64_t i = 0; i < k; i++) loop_send(&l->handles[i * (l->n / k)]);
    while (read(done, &count, 8) < 0 && errno == EINTR) {
    }
  }
  start = now_ns() - start;
  l->reply_fd = 0;
  close(done);
  return start;
}

static const char *loop_version(int lib) {
#ifdef HAVE_UV
  if (lib == LIB_UV) return libs.uv_version_string();
#endif
#ifdef HAVE_EV
  if (lib == LIB_EV) return EV_VERSION_MAJOR == 4 ? "4" : "";
#endif
  return "";
}

#endif
