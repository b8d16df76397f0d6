/* Threads that Go did not make, for tests: they call notifier_notify and nothing of Go's. What makes them notify, and what
 * is expected of it, is the Go side's business. signals.h has the signal handlers and fork. */
#ifndef FOREIGN_THREADS_H
#define FOREIGN_THREADS_H

#include "notifier.h"

#include "c/thread.h"

/* ---- notify and count what it returned ---- */

typedef struct {
  uint64_t ok, coalesced, closed, invalid, failed;
  uint64_t changed; /* times that errno, or GetLastError, was not as before, though the call had not failed */
  int64_t error;    /* errno of the last that failed */
} foreign_results;

static void foreign_notify(foreign_results *r, uint64_t h) {
  const int before = 12345;
  int code;
  errno = before;
#ifdef _WIN32
  SetLastError(before);
#endif
  code = notifier_notify(h);
  switch (code) {
  case NOTIFIER_OK: r->ok++; break;
  case NOTIFIER_COALESCED: r->coalesced++; break;
  case NOTIFIER_CLOSED: r->closed++; break;
  case NOTIFIER_INVALID: r->invalid++; break;
  default:
    r->failed++;
    r->error = errno;
    return;
  }
#ifdef _WIN32
  if (GetLastError() != before) r->changed++;
#endif
  if (errno != before) r->changed++;
}

static void foreign_add(foreign_results *to, const foreign_results *r) {
  to->ok += r->ok;
  to->coalesced += r->coalesced;
  to->closed += r->closed;
  to->invalid += r->invalid;
  to->failed += r->failed;
  to->changed += r->changed;
  if (r->failed) to->error = r->error;
}

/* ---- a thread for one job ---- */

typedef struct {
  uint64_t handle, times;
  foreign_results results;
} foreign_job_;

static void foreign_run_job_(void *p) {
  foreign_job_ *j = p;
  uint64_t i;
  for (i = 0; i < j->times; i++) foreign_notify(&j->results, j->handle);
}

static int foreign_on_thread(uint64_t handle, uint64_t times, foreign_results *results) {
  foreign_job_ j;
  foreign_thread t;
  int err;
  memset(&j, 0, sizeof j);
  j.handle = handle;
  j.times = times;
  err = foreign_start(&t, foreign_run_job_, &j);
  if (err) return err;
  foreign_join(t);
  *results = j.results;
  return 0;
}

typedef struct {
  const uint64_t *handles;
  uint64_t count;
  foreign_results results;
} foreign_list_;

static void foreign_run_list_(void *p) {
  foreign_list_ *l = p;
  uint64_t i;
  for (i = 0; i < l->count; i++) foreign_notify(&l->results, l->handles[i]);
}

static int foreign_once(const uint64_t *handles, uint64_t count, foreign_results *results) {
  foreign_list_ l;
  foreign_thread t;
  int err;
  memset(&l, 0, sizeof l);
  l.handles = handles;
  l.count = count;
  err = foreign_start(&t, foreign_run_list_, &l);
  if (err) return err;
  foreign_join(t);
  *results = l.results;
  return 0;
}

/* ---- a thread that does as it is told ---- */

typedef struct {
  foreign_thread thread;
  foreign_mutex mutex;
  foreign_cond cond;
  int order; /* 0: none, 1: notify, 2: end */
  foreign_job_ job;
} foreign_worker;

static void foreign_run_worker_(void *p) {
  foreign_worker *w = p;
  foreign_lock(&w->mutex);
  for (;;) {
    while (!w->order) foreign_wait(&w->cond, &w->mutex);
    if (w->order == 2) break;
    foreign_run_job_(&w->job);
    w->order = 0;
    foreign_wake(&w->cond);
  }
  foreign_unlock(&w->mutex);
}

static foreign_worker *foreign_new_worker(void) {
  foreign_worker *w = calloc(1, sizeof *w);
  if (!w) return 0;
  foreign_mutex_init(&w->mutex);
  foreign_cond_init(&w->cond);
  if (foreign_start(&w->thread, foreign_run_worker_, w)) {
    free(w);
    return 0;
  }
  return w;
}

static void foreign_order(foreign_worker *w, uint64_t handle, uint64_t times, foreign_results *results) {
  foreign_lock(&w->mutex);
  memset(&w->job, 0, sizeof w->job);
  w->job.handle = handle;
  w->job.times = times;
  w->order = 1;
  foreign_wake(&w->cond);
  while (w->order) foreign_wait(&w->cond, &w->mutex);
  *results = w->job.results;
  foreign_unlock(&w->mutex);
}

static void foreign_end_worker(foreign_worker *w) {
  foreign_lock(&w->mutex);
  w->order = 2;
  foreign_wake(&w->cond);
  foreign_unlock(&w->mutex);
  foreign_join(w->thread);
  free(w);
}

/* ---- many threads at once ---- */

/* A word of its own cache line, so that its stores have a long way to go. */
typedef struct {
  uint64_t value;
  uint64_t pad[15];
} foreign_cell;

typedef struct foreign_crowd foreign_crowd;

typedef struct {
  foreign_crowd *crowd;
  foreign_thread thread;
  uint64_t number;
  foreign_results results;
} foreign_member_;

struct foreign_crowd {
  uint64_t threads, each, count, rounds;
  int release;             /* publish with a release store, else a relaxed one */
  const uint64_t *handles; /* count of them */
  uint64_t *published;     /* threads x count: written by the thread before it notifies */
  foreign_cell *cells;     /* for rounds: one for each thread, then noise */
  uint64_t gate;           /* rounds up to this one may begin, a storm is the first; or FOREIGN_STOP */
  foreign_member_ *members;
};

#define FOREIGN_STOP UINT64_MAX
#define FOREIGN_NOISE 4

static void foreign_publish_(int release, uint64_t *p, uint64_t v) {
  if (release)
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
  else
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* Returns when the round may begin, and what the gate says. */
static uint64_t foreign_await_(foreign_crowd *c, uint64_t round) {
  uint64_t gate, spins;
  for (spins = 1; (gate = __atomic_load_n(&c->gate, __ATOMIC_ACQUIRE)) < round; spins++)
    if (spins % 1024 == 0) foreign_yield();
  return gate;
}

/* Notifies the handles in a random order, each time after publishing how often it has. */
static void foreign_run_storm_(void *p) {
  foreign_member_ *m = p;
  foreign_crowd *c = m->crowd;
  uint64_t *published = c->published + m->number * c->count;
  uint64_t random = 88172645463325252u + m->number, i;
  (void)foreign_await_(c, 1);
  for (i = 0; !c->each || i < c->each; i++) {
    uint64_t at = 0;
    if (__atomic_load_n(&c->gate, __ATOMIC_RELAXED) == FOREIGN_STOP) break;
    if (c->count > 1) {
      random ^= random << 13; /* Marsaglia, "Xorshift RNGs" */
      random ^= random >> 7;
      random ^= random << 17;
      at = random % c->count;
    }
    foreign_publish_(c->release, published + at, published[at] + 1);
    foreign_notify(&m->results, c->handles[at]);
  }
}

/* In each round: publish its number, notify once, and wait until the receiver opens the next. Nobody else notifies in
 * between, so a receiver that misses a number waits for ever. */
static void foreign_run_rounds_(void *p) {
  foreign_member_ *m = p;
  foreign_crowd *c = m->crowd;
  uint64_t round;
  int i;
  for (round = 1; round <= c->rounds; round++) {
    if (foreign_await_(c, round) == FOREIGN_STOP) return;
    /* Fill the store buffer with lines that the other threads want too. */
    for (i = 0; i < FOREIGN_NOISE; i++) foreign_publish_(0, &c->cells[c->threads + i].value, round);
    foreign_publish_(c->release, &c->cells[m->number].value, round);
    foreign_notify(&m->results, c->handles[m->number % c->count]);
  }
}

static void foreign_free_crowd(foreign_crowd *c) {
  free((void *)c->handles);
  free(c->published);
  free(c->cells);
  free(c->members);
  free(c);
}

static int foreign_stop_crowd(foreign_crowd *c) {
  __atomic_store_n(&c->gate, FOREIGN_STOP, __ATOMIC_SEQ_CST);
  return 0;
}

static void foreign_join_crowd(foreign_crowd *c, foreign_results *results) {
  uint64_t i;
  memset(results, 0, sizeof *results);
  for (i = 0; i < c->threads; i++) {
    foreign_join(c->members[i].thread);
    foreign_add(results, &c->members[i].results);
  }
}

/* A storm if rounds is 0: each thread notifies each times (0: until it is stopped). */
static foreign_crowd *foreign_new_crowd(const uint64_t *handles, uint64_t count, uint64_t threads, uint64_t each,
                                        uint64_t rounds, int release) {
  foreign_crowd *c = calloc(1, sizeof *c);
  uint64_t *copy = malloc(count * sizeof *copy), i;
  if (!c || !copy) abort();
  memcpy(copy, handles, count * sizeof *copy);
  c->threads = threads;
  c->each = each;
  c->count = count;
  c->rounds = rounds;
  c->release = release;
  c->handles = copy;
  c->published = calloc(threads * count, sizeof *c->published);
  c->cells = calloc(threads + FOREIGN_NOISE, sizeof *c->cells);
  c->members = calloc(threads, sizeof *c->members);
  if (!c->published || !c->cells || !c->members) abort();
  for (i = 0; i < threads; i++) {
    c->members[i].crowd = c;
    c->members[i].number = i;
    if (foreign_start(&c->members[i].thread, rounds ? foreign_run_rounds_ : foreign_run_storm_, &c->members[i])) {
      foreign_results r;
      c->threads = i;
      foreign_stop_crowd(c);
      foreign_join_crowd(c, &r);
      foreign_free_crowd(c);
      return 0;
    }
  }
  return c;
}

#endif
