/* Threads that Go did not make, which push records to a ring. Each record says who made it, its number, and a checksum; and
 * the rest of its bytes follow from those. What is expected of it all is the Go side's business. This works without
 * Go too: see testdata/ring. */
#ifndef PRODUCERS_H
#define PRODUCERS_H

#ifdef RINGFOREIGN
#include <stdint.h>
extern uint32_t ringforeign_patience;
extern int ringforeign_looks;
#define NOTIFIER_RING_PATIENCE_ ringforeign_patience
#define NOTIFIER_RING_LOOKS_ ringforeign_looks
#endif
#include "ring.h"

#include "thread.h"

#ifndef _WIN32
#include <signal.h>
#endif

/* ---- a record: producer and length (32 bits each), number and checksum (64 bits each), filling ---- */

#define PRODUCER_LEAST 24

static unsigned char producer_filling(uint32_t producer, uint64_t number, uint32_t i) {
  return (unsigned char)(number * 31 + i * 7 + producer);
}

static uint64_t producer_sum(uint32_t producer, uint32_t length, uint64_t number) {
  return ((uint64_t)producer << 32 | length) * 0x9e3779b97f4a7c15u ^ number * 0xc2b2ae3d27d4eb4fu;
}

static void producer_fill(void *rec, uint32_t producer, uint32_t length, uint64_t number) {
  unsigned char *b = (unsigned char *)rec;
  uint64_t sum = producer_sum(producer, length, number);
  uint32_t i;
  memcpy(b, &producer, 4);
  memcpy(b + 4, &length, 4);
  memcpy(b + 8, &number, 8);
  memcpy(b + 16, &sum, 8);
  for (i = PRODUCER_LEAST; i < length; i++) b[i] = producer_filling(producer, number, i);
}

/* ---- producing ---- */

enum { PRODUCE_PUSH, PRODUCE_RESERVE, PRODUCE_MIXED, PRODUCE_WAIT };

typedef struct {
  uint64_t ok, coalesced, full, too_large, closed, invalid, failed, discarded, changed; /* changed: errno */
} producer_results;

typedef struct {
  notifier_ring ring;
  uint32_t id;
  uint32_t least, most; /* length of a record; at least PRODUCER_LEAST */
  uint64_t count;       /* how many are sent; 0: until the ring is closed */
  int how;
  int keep; /* a record that finds no room is sent again */
  uint32_t ahead; /* how many it sends before they are read; 0: any number */
  uint32_t read;  /* how many were: the reader's */
  uint64_t number, random;
  producer_results results;
} producer;

static void producer_note(producer *p, int code) {
  switch (code) {
  case NOTIFIER_OK: p->results.ok++; break;
  case NOTIFIER_COALESCED: p->results.coalesced++; break;
  case NOTIFIER_FULL: p->results.full++; break;
  case NOTIFIER_TOO_LARGE: p->results.too_large++; break;
  case NOTIFIER_CLOSED: p->results.closed++; break;
  case NOTIFIER_FAILED: p->results.failed++; break;
  default: p->results.invalid++; break;
  }
}

/* Sends one record, and returns the code. */
static int producer_send(producer *p) {
  unsigned char buffer[4096];
  const int before = 12345;
  uint32_t length;
  void *rec = NULL;
  int code, how = p->how;
  p->random = p->random * 6364136223846793005u + 1442695040888963407u;
  length = p->least + (uint32_t)((p->random >> 33) % (p->most - p->least + 1));
  if (how == PRODUCE_MIXED) how = p->random >> 62 & 1 ? PRODUCE_PUSH : PRODUCE_RESERVE;
  errno = before;
  if (how == PRODUCE_WAIT && length <= sizeof buffer) {
    producer_fill(buffer, p->id, length, p->number);
    while ((code = notifier_ring_try(p->ring, buffer, length)) == NOTIFIER_FULL)
      if ((code = notifier_ring_wait(p->ring, length, -1)) != NOTIFIER_OK) break;
  } else if (how == PRODUCE_PUSH && length <= sizeof buffer) {
    producer_fill(buffer, p->id, length, p->number);
    code = notifier_ring_push(p->ring, buffer, length);
  } else {
    code = notifier_ring_reserve(p->ring, length, &rec);
    if (code == NOTIFIER_OK) {
      if (p->how == PRODUCE_MIXED && p->number % 7 == 3) {
        memset(rec, 0xff, length); /* nobody must see this */
        code = notifier_ring_discard(p->ring, rec);
        if (code == NOTIFIER_OK || code == NOTIFIER_COALESCED || code == NOTIFIER_FAILED) {
          p->results.discarded++;
          p->number++;
          return code;
        }
      } else {
        producer_fill(rec, p->id, length, p->number);
        code = notifier_ring_commit(p->ring, rec);
      }
    }
  }
  if (code != NOTIFIER_FAILED && errno != before) p->results.changed++;
  producer_note(p, code);
  if (code != NOTIFIER_FULL || !p->keep) p->number++;
  return code;
}

/* Waits until the reader is close enough, or the ring was closed. */
static void producer_await(producer *p) {
  volatile uint32_t *generation = NOTIFIER_RING_WORD_(notifier_ring_control_(p->ring), NOTIFIER_RING_OFFSET_GENERATION);
  uint32_t sent = (uint32_t)(p->results.ok + p->results.coalesced + p->results.failed);
  while (sent - __atomic_load_n(&p->read, __ATOMIC_ACQUIRE) >= p->ahead && notifier_load_(generation) == notifier_ring_generation_(p->ring))
    foreign_yield();
}

static void producer_run(producer *p) {
  while (!p->count || p->number < p->count) {
    int code;
    if (p->ahead) producer_await(p);
    code = producer_send(p);
    if (code == NOTIFIER_CLOSED || code == NOTIFIER_INVALID) return;
    if (code == NOTIFIER_FULL) foreign_yield();
  }
}

/* ---- threads, and on a unix a handler that produces in whatever it interrupts of them ---- */

typedef struct {
  producer main, handler; /* the handler's, if its ring is not 0 */
  foreign_thread thread;
  int ended; /* it must not be signalled any more */
} producing;

#ifndef _WIN32
static __thread producing *producing_here;

static void producing_handle(int number) {
  int saved = errno;
  producing *p = producing_here;
  (void)number;
  if (p && p->handler.ring) (void)producer_send(&p->handler);
  errno = saved;
}
#endif

static void producing_main(void *argument) {
  producing *p = (producing *)argument;
#ifndef _WIN32
  producing_here = p;
#endif
  producer_run(&p->main);
  __atomic_store_n(&p->ended, 1, __ATOMIC_SEQ_CST);
}

static int producing_start(producing *p) {
#ifndef _WIN32
  if (p->handler.ring) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = producing_handle;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    if (sigaction(SIGUSR1, &action, NULL)) return errno;
  }
#endif
  return foreign_start(&p->thread, producing_main, p);
}

static void producing_join(producing *p) { foreign_join(p->thread); }

/* Sends the handler's signal some times, or until the thread has come to its end. It was not joined yet. */
static void producing_interrupt(producing *p, int times) {
#ifdef _WIN32
  (void)p;
  (void)times;
#else
  while (times-- > 0 && !__atomic_load_n(&p->ended, __ATOMIC_SEQ_CST)) {
    pthread_kill(p->thread, SIGUSR1);
    if (times % 4 == 0) sched_yield();
  }
#endif
}

#endif
