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

enum { RECORD_RING, RECORD_CALLBACK, RECORD_PIPE, RECORD_BATCH };

#define RECORD_MOST 256
#define RECORD_BATCH_SIZE 64

typedef struct {
  int way;
  uint64_t target; /* ring, number of the sink, or descriptor */
  int64_t n, length;
  int64_t period_ns; /* 0: back to back */
  int64_t *stamps;   /* with a period: how long each call took */
  pthread_barrier_t *barrier;
  pthread_t thread;
  int64_t start_ns, full; /* results: when it began, and how often it found the ring full */
  char batch[RECORD_BATCH_SIZE * RECORD_MOST];
  int64_t batched;
} recorder;

static inline void record_send(recorder *r, char *rec) {
  switch (r->way) {
  case RECORD_RING:
    while (notifier_ring_push(r->target, rec, (size_t)r->length) == NOTIFIER_FULL) {
      r->full++;
      sched_yield();
    }
    break;
  case RECORD_CALLBACK:
    goRecord((uint32_t)r->target, rec, (uintptr_t)r->length);
    break;
  case RECORD_PIPE:
    while (write((int)r->target, rec, (size_t)r->length) < 0 && errno == EINTR) {
    }
    break;
  case RECORD_BATCH:
    memcpy(r->batch + r->batched * r->length, rec, (size_t)r->length);
    if (++r->batched == RECORD_BATCH_SIZE) {
      goBatch((uint32_t)r->target, r->batch, (uintptr_t)(r->batched * r->length));
      r->batched = 0;
    }
    break;
  }
}

static void *recorder_main(void *argument) {
  recorder *r = (recorder *)argument;
  char rec[RECORD_MOST];
  int64_t due, i;
  memset(rec, 1, sizeof rec);
  pthread_barrier_wait(r->barrier);
  r->start_ns = due = now_ns();
  if (r->period_ns) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
  for (i = 0; i < r->n; i++) {
    memcpy(rec, &i, sizeof i);
    if (r->period_ns) {
      int64_t t;
      due += r->period_ns;
      sleep_until(due);
      t = now_ns();
      record_send(r, rec);
      r->stamps[i] = now_ns() - t;
    } else {
      record_send(r, rec);
    }
  }
  if (r->batched) goBatch((uint32_t)r->target, r->batch, (uintptr_t)(r->batched * r->length));
  r->batched = 0;
  return NULL;
}

static int recorder_start(recorder *r) { return pthread_create(&r->thread, NULL, recorder_main, r); }
static void recorder_join(recorder *r) { pthread_join(r->thread, NULL); }

#endif
