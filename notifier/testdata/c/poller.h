/* A thread that polls a block, and producers that wait for it: what the programs with threads share. */
#ifndef POLLER_H
#define POLLER_H

#include "block.h"
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#define MOST_NOTIFIERS 64

struct poller {
  struct block b;
  pthread_t thread;
  int stop;             /* atomic; looked at whenever the doorbell has signalled */
  notifier_handle quit; /* signals for it */
  int patience;         /* seconds until a notification is called lost */
  void (*woken)(uint32_t index);
};

static void on_ready(void *arg, uint32_t index) {
  struct poller *p = (struct poller *)arg;
  if (p->woken && index != 2047) p->woken(index);
}

static void *poll_loop(void *arg) {
  struct poller *p = (struct poller *)arg;
  while (!__atomic_load_n(&p->stop, __ATOMIC_SEQ_CST)) {
    scan(&p->b, on_ready, p);
    if (!fall_asleep(&p->b)) continue;
    while (!signalled(&p->b, 1000 * p->patience)) CHECK(0, "nobody signalled for %d s", p->patience);
    wake_up(&p->b);
  }
  return NULL;
}

static void start_poller(struct poller *p, uint32_t kind, int patience, void (*woken)(uint32_t index)) {
  memset(p, 0, sizeof *p);
  open_block(&p->b, kind, 1);
  p->quit = admit(&p->b, 2047, 1);
  p->patience = patience;
  p->woken = woken;
  CHECK(pthread_create(&p->thread, NULL, poll_loop, p) == 0, "no thread");
}

static void stop_poller(struct poller *p) {
  __atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
  CHECK(notifier_notify(p->quit) >= 0, "quit");
  pthread_join(p->thread, NULL);
}

static inline void wait_for(sem_t *s, int patience, const char *what, long number) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += patience;
  int r;
  while ((r = sem_timedwait(s, &until)) < 0 && errno == EINTR) {
  }
  CHECK(r == 0, "%s %ld was lost: %s", what, number, strerror(errno));
}

#endif
