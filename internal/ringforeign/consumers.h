/* Threads that Go did not make, which read an Out. The records are those of producers.h. What is expected of it all is the Go
 * side's business. */
#ifndef CONSUMERS_H
#define CONSUMERS_H

#include "producers.h"

#ifndef _WIN32
#include <setjmp.h>
#endif

enum { CONSUME_READ, CONSUME_PEEK, CONSUME_MIXED };
enum { INTERRUPT_NOTHING, INTERRUPT_READ, INTERRUPT_JUMP };

#define CONSUMER_WRITERS 16

typedef struct {
  notifier_out out;
  int how;
  uint64_t turns, read, again, wrong, changed; /* changed: errno. again: a record that was peeked at twice */
  uint64_t next[CONSUMER_WRITERS];             /* of each writer: the least number that may come */
} consumer;

/* Whether all bytes of a record are as they should be, and it comes after those before. */
static int consumer_check(consumer *c, const unsigned char *b, size_t length) {
  uint32_t id, said, i;
  uint64_t number, sum;
  if (length < PRODUCER_LEAST) return 0;
  memcpy(&id, b, 4);
  memcpy(&said, b + 4, 4);
  memcpy(&number, b + 8, 8);
  memcpy(&sum, b + 16, 8);
  if (said != length || id >= CONSUMER_WRITERS || sum != producer_sum(id, said, number)) return 0;
  for (i = PRODUCER_LEAST; i < said; i++)
    if (b[i] != producer_filling(id, number, i)) return 0;
  if (number < c->next[id]) {
    c->again += number + 1 == c->next[id];
    return number + 1 == c->next[id] && c->how != CONSUME_READ;
  }
  c->next[id] = number + 1;
  c->read++;
  return 1;
}

/* Reads one record if there is one, and returns whether there was. */
static int consumer_receive(consumer *c) {
  unsigned char buffer[4096];
  const int before = 12345;
  const void *rec = NULL;
  size_t n;
  int peek = c->how == CONSUME_PEEK || (c->how == CONSUME_MIXED && c->turns++ % 2);
  errno = before;
  if (peek) {
    n = notifier_out_peek(c->out, &rec);
    if (n && !consumer_check(c, (const unsigned char *)rec, n)) c->wrong++;
    if (n) notifier_out_done(c->out);
  } else {
    n = notifier_out_read(c->out, buffer, sizeof buffer);
    if (n && (n > sizeof buffer || !consumer_check(c, buffer, n))) c->wrong++;
  }
  if (errno != before) c->changed++;
  return n != 0;
}

/* A thread that reads until it is stopped, and then what is left. On a unix a handler reads too, or jumps out of whatever the
 * thread does. */
typedef struct {
  consumer main, handler;
  int interrupt; /* INTERRUPT_ */
  int stop, ended;
  uint64_t jumps;
  foreign_thread thread;
#ifndef _WIN32
  sigjmp_buf home;
  volatile int reading; /* it may be jumped out of */
#endif
} consuming;

static void consuming_run(consuming *c) {
  unsigned idle = 0;
  for (;;) {
    int stop = __atomic_load_n(&c->stop, __ATOMIC_SEQ_CST);
#ifndef _WIN32
    c->reading = 1;
#endif
    int got = consumer_receive(&c->main);
#ifndef _WIN32
    c->reading = 0;
#endif
    if (got) continue;
    /* With both, either may be the one that finds nothing. */
    if (stop && (c->main.how != CONSUME_MIXED || (!consumer_receive(&c->main) && !consumer_receive(&c->main)))) return;
    /* Seldom: most signals come when a system call returns, and they should come in the middle of a call. */
    if (++idle % 256 == 0) foreign_yield();
  }
}

#ifndef _WIN32
static __thread consuming *consuming_here;

static void consuming_handle(int number) {
  int saved = errno;
  consuming *c = consuming_here;
  (void)number;
  if (c && c->interrupt == INTERRUPT_READ) (void)consumer_receive(&c->handler);
  if (c && c->interrupt == INTERRUPT_JUMP && c->reading) {
    c->reading = 0;
    c->jumps++;
    siglongjmp(c->home, 1);
  }
  errno = saved;
}
#endif

static void consuming_main(void *argument) {
  consuming *c = (consuming *)argument;
#ifndef _WIN32
  consuming_here = c;
  (void)sigsetjmp(c->home, 1);
#endif
  consuming_run(c);
  __atomic_store_n(&c->ended, 1, __ATOMIC_SEQ_CST);
}

static int consuming_start(consuming *c) {
#ifndef _WIN32
  if (c->interrupt != INTERRUPT_NOTHING) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = consuming_handle;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    if (sigaction(SIGUSR2, &action, NULL)) return errno;
  }
#endif
  return foreign_start(&c->thread, consuming_main, c);
}

static void consuming_join(consuming *c) {
  __atomic_store_n(&c->stop, 1, __ATOMIC_SEQ_CST);
  foreign_join(c->thread);
}

/* Sends the handler's signal some times, or until the thread has come to its end. It was not joined yet. */
static void consuming_signal(consuming *c, int times) {
#ifdef _WIN32
  (void)c;
  (void)times;
#else
  while (times-- > 0 && !__atomic_load_n(&c->ended, __ATOMIC_SEQ_CST)) {
    pthread_kill(c->thread, SIGUSR2);
    if (times % 4 == 0) sched_yield();
  }
#endif
}

#endif
