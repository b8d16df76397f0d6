/* The C half of package cabi. In a header, since a .c file would break builds without cgo. */
#include "notifier.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

struct cabi_thread {
  const uint64_t *handles;
  int number;
  uint64_t calls;
  int begun, done; /* atomic */
};

static void cabi_notify_all(struct cabi_thread *t) {
  for (int i = 0; i < t->number; i++) {
    notifier_notify(t->handles[i]);
    t->calls++;
  }
}

static void *cabi_cancelled(void *arg) {
  struct cabi_thread *t = (struct cabi_thread *)arg;
  int old;
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
  __atomic_store_n(&t->begun, 1, __ATOMIC_SEQ_CST);
  for (;;) cabi_notify_all(t);
}

static _Thread_local sigjmp_buf cabi_out;
static _Thread_local volatile sig_atomic_t cabi_inside, cabi_jumps;

static void cabi_handler(int signal) {
  (void)signal;
  if (cabi_inside) siglongjmp(cabi_out, 1);
}

static void *cabi_jumped(void *arg) {
  struct cabi_thread *t = (struct cabi_thread *)arg;
  if (sigsetjmp(cabi_out, 1)) cabi_jumps = cabi_jumps + 1;
  cabi_inside = 1;
  __atomic_store_n(&t->begun, cabi_jumps + 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&t->done, __ATOMIC_SEQ_CST)) cabi_notify_all(t);
  cabi_inside = 0;
  return NULL;
}

static void cabi_wait_begun(struct cabi_thread *t, int n) {
  while (__atomic_load_n(&t->begun, __ATOMIC_SEQ_CST) != n) sched_yield();
}

static int cabi_wreck(const uint64_t *handles, int number, int rounds, int jump, uint64_t *calls) {
  unsigned x = 12345;
  pthread_t id;
  struct cabi_thread t;
  struct sigaction act, before;
  int err = 0, sig = SIGRTMAX - 3;
  *calls = 0;
  if (jump) {
    memset(&act, 0, sizeof act);
    act.sa_handler = cabi_handler;
    act.sa_flags = SA_ONSTACK; /* Go asks for it, should the signal ever hit one of its threads */
    sigaction(sig, &act, &before);
  }
  for (int round = 0; round < rounds; round++) {
    if (!jump || round == 0) {
      memset(&t, 0, sizeof t);
      t.handles = handles;
      t.number = number;
      if ((err = pthread_create(&id, NULL, jump ? cabi_jumped : cabi_cancelled, &t))) return err;
    }
    cabi_wait_begun(&t, jump ? round + 1 : 1);
    x = x * 1103515245u + 12345u;
    for (volatile unsigned n = x >> 16 & 4095; n; n = n - 1) {
    }
    if (jump) {
      pthread_kill(id, sig);
    } else {
      pthread_cancel(id);
      pthread_join(id, NULL);
      *calls += t.calls;
    }
  }
  if (jump) {
    cabi_wait_begun(&t, rounds + 1);
    __atomic_store_n(&t.done, 1, __ATOMIC_SEQ_CST);
    pthread_join(id, NULL);
    *calls = t.calls;
    sigaction(sig, &before, NULL);
  }
  return err;
}
