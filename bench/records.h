/* This file holds the C threads that send records: through the ring, by a cgo callback for each or for each batch of 64, or
 * down a pipe. */
#ifndef RECORDS_H
#define RECORDS_H

#include "foreign.h"
#include "ring.h"

#include <sched.h>

/* The exported Go functions. */
extern void goRecord(uint32_t, void *, uintptr_t);
extern void goBatch(uint32_t, void *, uintptr_t);

enum { RECORD_RING, RECORD_RING_WAIT, RECORD_CALLBACK, RECORD_PIPE, RECORD_BATCH, RECORD_FLOOR, RECORD_FLOOR_READ, RECORD_FLOOR_SINGLE };

/* The floors of a ring: a reservation, the bytes, and a header written last. Nobody is woken. RECORD_FLOOR: the reservation is
 * one that other producers respect; nobody reads. RECORD_FLOOR_READ: a C thread reads beside it, which yields its processor
 * when there is nothing, never sleeps, and gives back zeroed memory, as it must where any header that is not zero is a
 * record. RECORD_FLOOR_SINGLE: the same, and the reservation is a plain store. */
#define RECORD_FLOOR_SIZE ((uintptr_t)1 << 20)
typedef struct {
  char data[RECORD_FLOOR_SIZE + 512];
  uintptr_t position;
  char line1[128];
  uintptr_t consumer; /* how far memory was given back */
  char line2[128];
  uintptr_t next;     /* the reader's alone */
} record_floor;

/* As if mapped twice: a record that runs over the end goes on behind it. */
static inline __attribute__((always_inline)) char *record_at(record_floor *f, uintptr_t position) {
  return f->data + (position & (RECORD_FLOOR_SIZE - 1));
}

/* Gives memory back as seldom as the ring's reader does: each time that a sixteenth of it was read. */
#define RECORD_FLOOR_BACK (RECORD_FLOOR_SIZE / 16)

#define RECORD_MOST 256
#define RECORD_BATCH_SIZE 64

typedef struct {
  int way;
  uint64_t target; /* ring, number of the sink, or descriptor */
  int64_t n, length;
  int64_t period_ns; /* 0: back to back */
  int64_t pace_ns;   /* not 0: RECORD_BATCH_SIZE records take as long at least */
  int64_t *stamps;   /* with a period: how long each call took */
  pthread_barrier_t *barrier;
  pthread_t thread;
  int64_t start_ns, end_ns, full; /* results: when it began and ended, and how often it found the ring full */
  char batch[RECORD_BATCH_SIZE * RECORD_MOST];
  int64_t batched;
} recorder;

/* way and length are constants where this is inlined, as they are in a program that sends one kind of record. */
static inline __attribute__((always_inline)) void record_send(recorder *r, int way, int64_t length, char *rec) {
  switch (way) {
  case RECORD_RING:
    while (notifier_ring_push(r->target, rec, (size_t)length) == NOTIFIER_FULL) {
      r->full++;
      sched_yield();
    }
    break;
  case RECORD_RING_WAIT:
    while (notifier_ring_try(r->target, rec, (size_t)length) == NOTIFIER_FULL) {
      r->full++;
      (void)notifier_ring_wait(r->target, (size_t)length, -1);
    }
    break;
  case RECORD_CALLBACK:
    goRecord((uint32_t)r->target, rec, (uintptr_t)length);
    break;
  case RECORD_PIPE:
    while (write((int)r->target, rec, (size_t)length) < 0 && errno == EINTR) {
    }
    break;
  case RECORD_FLOOR:
  case RECORD_FLOOR_READ:
  case RECORD_FLOOR_SINGLE: {
    record_floor *f = (record_floor *)(uintptr_t)r->target;
    uintptr_t p = __atomic_load_n(&f->position, __ATOMIC_SEQ_CST), end;
    char *header;
    for (;;) {
      end = p + 8 + (uintptr_t)length;
      if (way != RECORD_FLOOR && end - __atomic_load_n(&f->consumer, __ATOMIC_ACQUIRE) > RECORD_FLOOR_SIZE) {
        r->full++;
        sched_yield();
        p = __atomic_load_n(&f->position, __ATOMIC_SEQ_CST);
      } else if (way == RECORD_FLOOR_SINGLE) {
        __atomic_store_n(&f->position, end, __ATOMIC_RELEASE);
        break;
      } else if (__atomic_compare_exchange_n(&f->position, &p, end, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        break;
      }
    }
    header = record_at(f, p);
    memcpy(header + 8, rec, (size_t)length);
    __atomic_store_n((uint64_t *)(void *)header, p + 1, __ATOMIC_RELEASE);
    break;
  }
  case RECORD_BATCH:
    memcpy(r->batch + r->batched * length, rec, (size_t)length);
    if (++r->batched == RECORD_BATCH_SIZE) {
      goBatch((uint32_t)r->target, r->batch, (uintptr_t)(r->batched * length));
      r->batched = 0;
    }
    break;
  }
}

static inline __attribute__((always_inline)) void record_loop(recorder *r, int way, int64_t length) {
  char rec[RECORD_MOST];
  int64_t due = r->start_ns, pace = r->pace_ns, i;
  memset(rec, 1, sizeof rec);
  for (i = 0; i < r->n; i++) {
    memcpy(rec, &i, sizeof i);
    if (r->period_ns) {
      int64_t t;
      due += r->period_ns;
      sleep_until(due);
      t = now_ns();
      record_send(r, way, length, rec);
      r->stamps[i] = now_ns() - t;
    } else {
      if (pace && !(i % RECORD_BATCH_SIZE)) {
        if (due > now_ns()) sleep_until(due);
        due += pace;
      }
      record_send(r, way, length, rec);
    }
  }
  if (r->batched) goBatch((uint32_t)r->target, r->batch, (uintptr_t)(r->batched * length));
  r->batched = 0;
}

static void *recorder_main(void *argument) {
  recorder *r = (recorder *)argument;
  pthread_barrier_wait(r->barrier);
  r->start_ns = now_ns();
  if (r->pace_ns || r->period_ns) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  if (r->period_ns) (void)real_time();
#define RECORD_WAY(way)                               \
  case way:                                           \
    if (r->length == 32) record_loop(r, way, 32);     \
    else record_loop(r, way, RECORD_MOST);            \
    break
  switch (r->way) {
    RECORD_WAY(RECORD_RING);
    RECORD_WAY(RECORD_RING_WAIT);
    RECORD_WAY(RECORD_CALLBACK);
    RECORD_WAY(RECORD_PIPE);
    RECORD_WAY(RECORD_BATCH);
    RECORD_WAY(RECORD_FLOOR);
    RECORD_WAY(RECORD_FLOOR_READ);
    RECORD_WAY(RECORD_FLOOR_SINGLE);
  }
  r->end_ns = now_ns();
  return NULL;
}

/* The floors' reader. */
typedef struct {
  record_floor *floor;
  int64_t n, length;
  pthread_t thread;
  int64_t sum, end_ns; /* results */
} record_reader;

static inline __attribute__((always_inline)) uintptr_t record_give_back(record_floor *f, uintptr_t from, uintptr_t to, int64_t length) {
  for (; from != to; from += 8 + (uintptr_t)length) memset(record_at(f, from), 0, 8 + (size_t)length);
  __atomic_store_n(&f->consumer, to, __ATOMIC_RELEASE);
  return to;
}

static inline __attribute__((always_inline)) void record_read(record_reader *r, int64_t length) {
  record_floor *f = r->floor;
  uintptr_t next = f->next, given = next;
  int64_t i, n;
  for (i = 0; i < r->n; i++, next += 8 + (uintptr_t)length) {
    char *header = record_at(f, next);
    while (!__atomic_load_n((uint64_t *)(void *)header, __ATOMIC_ACQUIRE)) sched_yield();
    memcpy(&n, header + 8, sizeof n);
    r->sum += n;
    if (next - given >= RECORD_FLOOR_BACK) given = record_give_back(f, given, next, length);
  }
  r->end_ns = now_ns();
  f->next = record_give_back(f, given, next, length);
}

static void *record_reader_main(void *argument) {
  record_reader *r = (record_reader *)argument;
  if (r->length == 32) record_read(r, 32);
  else record_read(r, RECORD_MOST);
  return NULL;
}

static int record_reader_start(record_reader *r) { return pthread_create(&r->thread, NULL, record_reader_main, r); }
static void record_reader_join(record_reader *r) { pthread_join(r->thread, NULL); }

static int recorder_start(recorder *r) { return pthread_create(&r->thread, NULL, recorder_main, r); }
static void recorder_join(recorder *r) { pthread_join(r->thread, NULL); }

#endif
