/* This file holds the foreign half of the bench: what C threads do and how they time it. One job is one thread that the
 * Go runtime has never seen; it says that it is done by a write to an eventfd, so that no goroutine sits in a cgo call
 * (and holds a P) while it runs. Loops are timed here, by clock_gettime, never across a cgo call. */
#ifndef FOREIGN_H
#define FOREIGN_H

#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "notifier.h"

/* The exported Go functions. */
extern void goTrySend(uint32_t);
extern void goTrySendHandle(uintptr_t);

/* The ways to wake a goroutine, or another C thread. */
enum {
  WAY_NOTIFIER,        /* notifier_notify(target) */
  WAY_CALLBACK,        /* a cgo callback that sends to channel number target */
  WAY_CALLBACK_HANDLE, /* the same through runtime/cgo's Handle */
  WAY_EVENTFD,         /* write 8 bytes to descriptor target */
  WAY_PIPE,            /* write 1 byte to descriptor target */
  WAY_FUTEX,           /* add 1 to *target, FUTEX_WAKE */
  WAY_SPIN,            /* add 1 to *target */
  WAY_FENCE,           /* a full fence, which each notification begins with, and nothing else */
  WAY_FUNCTION,        /* call target's function with its argument, as libraries call back */
  WAY_NOTHING,         /* the cost of the loop */
  WAYS
};

static inline int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Makes the calling thread one of the real-time class, so that it never waits for a processor that others use. Returns 0 or
 * an errno. */
static inline int real_time(void) {
  struct sched_param p = {.sched_priority = 1};
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
}

static void *try_real_time(void *err) {
  *(int *)err = real_time();
  return NULL;
}

/* Tells whether the system lets threads be real-time. */
static int real_time_allowed(void) {
  pthread_t t;
  int err = 0;
  if (pthread_create(&t, NULL, try_real_time, &err)) return 0;
  pthread_join(t, NULL);
  return !err;
}

static inline int64_t thread_cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void put8(int fd) {
  uint64_t one = 1;
  while (write(fd, &one, 8) < 0 && errno == EINTR) {
  }
}

/* What a library keeps of a callback. */
typedef struct {
  void (*function)(uint64_t);
  uint64_t argument;
} registered;

static registered *new_registered(void *function, uint64_t argument) {
  registered *r = calloc(1, sizeof *r);
  if (!r) abort();
  r->function = (void (*)(uint64_t))(uintptr_t)function;
  r->argument = argument;
  return r;
}

static inline __attribute__((always_inline)) void wake(int way, uint64_t target) {
  switch (way) {
  case WAY_NOTIFIER:
    (void)notifier_notify(target);
    break;
  case WAY_CALLBACK:
    goTrySend((uint32_t)target);
    break;
  case WAY_CALLBACK_HANDLE:
    goTrySendHandle((uintptr_t)target);
    break;
  case WAY_EVENTFD:
    put8((int)target);
    break;
  case WAY_PIPE:
    while (write((int)target, "", 1) < 0 && errno == EINTR) {
    }
    break;
  case WAY_FUTEX: {
    _Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)target;
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    break;
  }
  case WAY_SPIN: atomic_fetch_add((_Atomic uint32_t *)(uintptr_t)target, 1); break;
  case WAY_FENCE: notifier_fence_(); break;
  case WAY_FUNCTION: {
    const registered *r = (const registered *)(uintptr_t)target;
    r->function(r->argument);
    break;
  }
  }
}

/* Calls MACRO(way) with a constant, so that each loop is compiled for its own way. */
#define FOR_WAY(way, MACRO)                                                                                            \
  switch (way) {                                                                                                       \
  case WAY_NOTIFIER: MACRO(WAY_NOTIFIER); break;                                                                       \
  case WAY_CALLBACK: MACRO(WAY_CALLBACK); break;                                                                       \
  case WAY_CALLBACK_HANDLE: MACRO(WAY_CALLBACK_HANDLE); break;                                                         \
  case WAY_EVENTFD: MACRO(WAY_EVENTFD); break;                                                                         \
  case WAY_PIPE: MACRO(WAY_PIPE); break;                                                                               \
  case WAY_FUTEX: MACRO(WAY_FUTEX); break;                                                                             \
  case WAY_SPIN: MACRO(WAY_SPIN); break;                                                                               \
  case WAY_FENCE: MACRO(WAY_FENCE); break;                                                                             \
  case WAY_FUNCTION: MACRO(WAY_FUNCTION); break;                                                                       \
  default: MACRO(WAY_NOTHING); break;                                                                                  \
  }

enum { JOB_REDUNDANT, JOB_ROUND_TRIP, JOB_COLD, JOB_TIMED, JOB_ANSWER, JOB_SEE };

typedef _Atomic int64_t atomic_number;

typedef struct job {
  int kind, way;
  uint64_t target;
  int64_t n;               /* operations, after warm-up */
  int64_t warm;
  int64_t period_ns;          /* JOB_COLD, JOB_TIMED */
  int reply_fd;               /* JOB_ROUND_TRIP waits for it, JOB_ANSWER writes to it */
  int wait_fd;                /* JOB_ANSWER, JOB_SEE */
  uint32_t *wait_futex;       /* the same, if not NULL */
  uint32_t *reply_futex;      /* the same */
  int64_t *stamps;            /* JOB_COLD: when each was sent; JOB_TIMED: how long each took; JOB_SEE: latencies */
  const int64_t *sent_stamps; /* JOB_SEE: JOB_COLD's stamps */
  atomic_number *sent;        /* JOB_COLD: how many stamps are filled in; JOB_SEE reads it */
  pthread_barrier_t *barrier;
  int done_fd;

  int64_t elapsed_ns; /* result */
  int64_t cpu_ns;     /* result: this thread's */
} job;

/* N calls back to back. */
static void job_redundant(job *j) {
#define LOOP(way)                                                                                                      \
  do {                                                                                                                 \
    for (int64_t i = 0; i < j->warm; i++) wake(way, j->target);                                                        \
    pthread_barrier_wait(j->barrier);                                                                                  \
    int64_t start = now_ns();                                                                                          \
    for (int64_t i = 0; i < j->n; i++) wake(way, j->target);                                                           \
    j->elapsed_ns = now_ns() - start;                                                                                  \
  } while (0)
  FOR_WAY(j->way, LOOP)
#undef LOOP
}

static int epoll_of(int fd) {
  int ep = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event e;
  memset(&e, 0, sizeof e);
  e.events = EPOLLIN;
  epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
  return ep;
}

static inline void epoll_take(int ep, int fd) {
  struct epoll_event e;
  uint64_t count;
  while (epoll_wait(ep, &e, 1, -1) < 0 && errno == EINTR) {
  }
  while (read(fd, &count, 8) < 0 && errno == EINTR) {
  }
}

static inline uint32_t futex_take(uint32_t *word, uint32_t seen) {
  _Atomic uint32_t *w = (_Atomic uint32_t *)(void *)word;
  uint32_t v;
  while ((v = atomic_load(w)) == seen) syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
  return v;
}

/* Wakes, and waits for the reply in epoll_wait (or on the futex). */
static void job_round_trip(job *j) {
  int ep = j->reply_futex ? -1 : epoll_of(j->reply_fd);
  uint32_t seen = 0;
  int64_t start = 0;
#define LOOP(way)                                                                                                      \
  for (int64_t i = -j->warm; i < j->n; i++) {                                                                          \
    if (i == 0) start = now_ns();                                                                                      \
    wake(way, j->target);                                                                                              \
    if (j->reply_futex)                                                                                                \
      seen = futex_take(j->reply_futex, seen);                                                                         \
    else                                                                                                               \
      epoll_take(ep, j->reply_fd);                                                                                     \
  }
  FOR_WAY(j->way, LOOP)
#undef LOOP
  j->elapsed_ns = now_ns() - start;
  if (ep >= 0) close(ep);
}

static inline uint32_t spin_take(uint32_t *word, uint32_t seen) {
  _Atomic uint32_t *w = (_Atomic uint32_t *)(void *)word;
  uint32_t v;
  while ((v = atomic_load_explicit(w, memory_order_acquire)) == seen) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  return v;
}

/* The C partner of job_round_trip: the floor. */
static void job_answer(job *j) {
  int ep = j->wait_futex ? -1 : epoll_of(j->wait_fd);
  uint32_t seen = 0;
  for (int64_t i = 0; i < j->n + j->warm; i++) {
    if (j->way == WAY_SPIN) {
      seen = spin_take(j->wait_futex, seen);
      put8(j->reply_fd);
    } else if (j->wait_futex) {
      seen = futex_take(j->wait_futex, seen);
      wake(WAY_FUTEX, (uint64_t)(uintptr_t)j->reply_futex);
    } else {
      epoll_take(ep, j->wait_fd);
      put8(j->reply_fd);
    }
  }
  if (ep >= 0) close(ep);
}

static void sleep_until(int64_t t) {
  struct timespec at = {t / 1000000000, t % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
  }
}

/* One wake-up per period, each with a stamp taken just before. */
static void job_cold(job *j) {
  int64_t due = now_ns();
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
#define LOOP(way)                                                                                                      \
  for (int64_t i = 0; i < j->n; i++) {                                                                                 \
    due += j->period_ns;                                                                                               \
    sleep_until(due);                                                                                                  \
    j->stamps[i] = now_ns();                                                                                           \
    atomic_store(j->sent, i + 1);                                                                                      \
    wake(way, j->target);                                                                                              \
  }
  FOR_WAY(j->way, LOOP)
#undef LOOP
}

/* The C thread that is woken by job_cold: the floor. */
static void job_see(job *j) {
  int ep = j->wait_futex ? -1 : epoll_of(j->wait_fd);
  uint32_t mark = 0;
  int64_t seen = 0;
  while (seen < j->n) {
    if (j->wait_futex)
      mark = futex_take(j->wait_futex, mark);
    else
      epoll_take(ep, j->wait_fd);
    int64_t t = now_ns(), sent = atomic_load(j->sent);
    for (; seen < sent; seen++) j->stamps[seen] = t - j->sent_stamps[seen];
  }
  if (ep >= 0) close(ep);
}

/* One call per period, asleep in between; how long each took. Real-time, where that is allowed. */
static void job_timed(job *j) {
  int64_t due = now_ns();
  (void)real_time();
  prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
#define LOOP(way)                                                                                                      \
  for (int64_t i = -j->warm; i < j->n; i++) {                                                                          \
    int64_t t;                                                                                                         \
    due += j->period_ns;                                                                                               \
    sleep_until(due);                                                                                                  \
    t = now_ns();                                                                                                      \
    if (t > due) due = t;                                                                                              \
    wake(way, j->target);                                                                                              \
    if (i >= 0) j->stamps[i] = now_ns() - t;                                                                           \
  }
  FOR_WAY(j->way, LOOP)
#undef LOOP
}

/* One call for each of n targets. */
static void wake_each(int way_, const uint64_t *targets, int64_t n) {
#define LOOP(way)                                                                                                      \
  for (int64_t i = 0; i < n; i++) wake(way, targets[i])
  FOR_WAY(way_, LOOP)
#undef LOOP
}

static void *job_main(void *arg) {
  job *j = arg;
  switch (j->kind) {
  case JOB_REDUNDANT: job_redundant(j); break;
  case JOB_ROUND_TRIP: job_round_trip(j); break;
  case JOB_COLD: job_cold(j); break;
  case JOB_TIMED: job_timed(j); break;
  case JOB_ANSWER: job_answer(j); break;
  case JOB_SEE: job_see(j); break;
  }
  j->cpu_ns = thread_cpu_ns();
  put8(j->done_fd);
  return NULL;
}

static int job_start(job *j) {
  pthread_t t;
  pthread_attr_t a;
  int err;
  pthread_attr_init(&a);
  pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&a, 256 << 10);
  err = pthread_create(&t, &a, job_main, j);
  pthread_attr_destroy(&a);
  return err;
}

#endif
