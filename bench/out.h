/* This file holds the C thread that reads a block of audio every so often: from an Out, by a cgo callback, from a pipe, or from
 * a queue under a mutex; and a C thread that writes an Out, in place of Go. */
#ifndef OUT_H
#define OUT_H

#include "foreign.h"
#include "ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { OUT_BLOCK = 1024, OUT_SIZE = 1 << 14 };
enum { OUT_READ, OUT_CALLBACK, OUT_PIPE, OUT_QUEUE };

extern size_t goBlock(void *); /* the exported Go function */

typedef struct {
  pthread_mutex_t lock;
  char blocks[16][OUT_BLOCK];
  unsigned put, got;
} out_queue;

typedef struct {
  int way;
  notifier_out out;
  int pipe;
  out_queue *queue;
  uint64_t n, period, empty;
  double *times;
  pthread_t thread;
} out_job;

static int out_queue_put(out_queue *q, const void *block) {
  int room;
  pthread_mutex_lock(&q->lock);
  room = q->put - q->got < 16;
  if (room) memcpy(q->blocks[q->put++ % 16], block, OUT_BLOCK);
  pthread_mutex_unlock(&q->lock);
  return room;
}

static size_t out_queue_get(out_queue *q, void *block) {
  size_t n = 0;
  pthread_mutex_lock(&q->lock);
  if (q->put != q->got) {
    memcpy(block, q->blocks[q->got++ % 16], OUT_BLOCK);
    n = OUT_BLOCK;
  }
  pthread_mutex_unlock(&q->lock);
  return n;
}

static int64_t out_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void *out_read_all(void *argument) {
  out_job *j = (out_job *)argument;
  char block[OUT_BLOCK];
  int64_t due = out_clock(), began;
  uint64_t i;
  for (i = 0; i < j->n; i++) {
    size_t got = 0;
    due += (int64_t)j->period;
    while ((began = out_clock()) < due) {
      struct timespec pause = {0, due - began};
      nanosleep(&pause, NULL);
    }
    due = began; /* what was missed is not made up for */
    switch (j->way) {
    case OUT_READ: got = notifier_out_read(j->out, block, sizeof block); break;
    case OUT_CALLBACK: got = goBlock(block); break;
    case OUT_PIPE: {
      ssize_t n = read(j->pipe, block, sizeof block);
      got = n > 0 ? (size_t)n : 0;
      break;
    }
    default: got = out_queue_get(j->queue, block);
    }
    j->times[i] = (double)(out_clock() - began);
    j->empty += got != sizeof block;
  }
  return NULL;
}

static int out_start(out_job *j) { return pthread_create(&j->thread, NULL, out_read_all, j); }
static void out_join(out_job *j) { pthread_join(j->thread, NULL); }

/* An Out without Go, and the thread that writes it: the steps of out.go. It sleeps a millisecond when there is no room. */
typedef struct {
  char *control, *data;
  int stop;
  pthread_t thread;
} out_writer;

static void *out_write_all(void *argument) {
  out_writer *w = (out_writer *)argument;
  volatile uintptr_t *consumer = NOTIFIER_OUT_NATIVE_(w->control, NOTIFIER_OUT_OFFSET_CONSUMER);
  volatile uintptr_t *position = NOTIFIER_OUT_NATIVE_(w->control, NOTIFIER_OUT_OFFSET_POSITION);
  char block[OUT_BLOCK] = {1};
  uintptr_t p = *position;
  const uintptr_t span = NOTIFIER_OUT_HEADER_SIZE + OUT_BLOCK;
  while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
    uintptr_t rest = OUT_SIZE - (p & (OUT_SIZE - 1)), pad = span > rest ? rest : 0;
    uint32_t *h;
    if (pad + span > OUT_SIZE - (p - __atomic_load_n(consumer, __ATOMIC_SEQ_CST))) {
      struct timespec pause = {0, 1000000};
      nanosleep(&pause, NULL);
      continue;
    }
    if (pad) {
      h = (uint32_t *)(void *)(w->data + (p & (OUT_SIZE - 1)));
      h[0] = NOTIFIER_OUT_PADDING | (uint32_t)(pad - NOTIFIER_OUT_HEADER_SIZE);
      h[1] = (uint32_t)p ^ NOTIFIER_OUT_MAGIC;
      p += pad;
    }
    h = (uint32_t *)(void *)(w->data + (p & (OUT_SIZE - 1)));
    h[0] = OUT_BLOCK;
    h[1] = (uint32_t)p ^ NOTIFIER_OUT_MAGIC;
    memcpy(h + 2, block, sizeof block);
    p += span;
    __atomic_store_n(position, p, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

static notifier_out out_writer_start(out_writer *w) {
  /* At an address that a number has room for. */
  w->control = (char *)mmap((void *)((uintptr_t)1 << 40), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  w->data = (char *)calloc(1, OUT_SIZE);
  if (w->control == MAP_FAILED || !w->data) return 0;
  *NOTIFIER_OUT_WORD_(w->control, NOTIFIER_OUT_OFFSET_MAGIC) = NOTIFIER_OUT_MAGIC;
  *NOTIFIER_OUT_WORD_(w->control, NOTIFIER_OUT_OFFSET_ABI) = NOTIFIER_OUT_ABI;
  *NOTIFIER_OUT_WORD_(w->control, NOTIFIER_OUT_OFFSET_GENERATION) = 2;
  *NOTIFIER_OUT_WORD_(w->control, NOTIFIER_OUT_OFFSET_SIZE) = OUT_SIZE;
  *NOTIFIER_OUT_WORD_(w->control, NOTIFIER_OUT_OFFSET_MAX) = OUT_SIZE / 2 - NOTIFIER_OUT_HEADER_SIZE;
  *NOTIFIER_OUT_NATIVE_(w->control, NOTIFIER_OUT_OFFSET_DATA) = (uintptr_t)w->data;
  if (pthread_create(&w->thread, NULL, out_write_all, w)) return 0;
  return (notifier_out)(uintptr_t)w->control >> NOTIFIER_RING_BASE_SHIFT << NOTIFIER_RING_GENERATION_BITS | 2;
}

static void out_writer_stop(out_writer *w) {
  __atomic_store_n(&w->stop, 1, __ATOMIC_SEQ_CST);
  pthread_join(w->thread, NULL);
  munmap(w->control, 4096);
  free(w->data);
}

#endif
