/* Threads that are cancelled in notifier_notify, or jump out of it. */
#include "notifier.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

struct foreign_wreck_thread {
  const uint64_t *handles;
  int number;
  uint64_t calls;
  int begun, done; /* atomic */
};

static void foreign_wreck_notify_all(struct foreign_wreck_thread *t) {
  for (int i = 0; i < t->number; i++) {
    notifier_notify(t->handles[i]);
    t->calls++;
  }
}

static void *foreign_wreck_cancelled(void *arg) {
  struct foreign_wreck_thread *t = (struct foreign_wreck_thread *)arg;
  int old;
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
  __atomic_store_n(&t->begun, 1, __ATOMIC_SEQ_CST);
  for (;;) foreign_wreck_notify_all(t);
}

static _Thread_local sigjmp_buf foreign_wreck_out;
static _Thread_local volatile sig_atomic_t foreign_wreck_inside, foreign_wreck_jumps;

static void foreign_wreck_handler(int signal) {
  (void)signal;
  if (foreign_wreck_inside) siglongjmp(foreign_wreck_out, 1);
}

static void *foreign_wreck_jumped(void *arg) {
  struct foreign_wreck_thread *t = (struct foreign_wreck_thread *)arg;
  if (sigsetjmp(foreign_wreck_out, 1)) foreign_wreck_jumps = foreign_wreck_jumps + 1;
  foreign_wreck_inside = 1;
  __atomic_store_n(&t->begun, foreign_wreck_jumps + 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&t->done, __ATOMIC_SEQ_CST)) foreign_wreck_notify_all(t);
  foreign_wreck_inside = 0;
  return NULL;
}

static void foreign_wreck_wait_begun(struct foreign_wreck_thread *t, int n) {
  while (__atomic_load_n(&t->begun, __ATOMIC_SEQ_CST) != n) sched_yield();
}

static int foreign_wreck(const uint64_t *handles, int number, int rounds, int jump, uint64_t *calls) {
  unsigned x = 12345;
  pthread_t id;
  struct foreign_wreck_thread t;
  struct sigaction act, before;
  int err = 0, sig = SIGRTMAX - 3;
  *calls = 0;
  if (jump) {
    memset(&act, 0, sizeof act);
    act.sa_handler = foreign_wreck_handler;
    act.sa_flags = SA_ONSTACK; /* Go asks for it, should the signal ever hit one of its threads */
    sigaction(sig, &act, &before);
  }
  for (int round = 0; round < rounds; round++) {
    if (!jump || round == 0) {
      memset(&t, 0, sizeof t);
      t.handles = handles;
      t.number = number;
      if ((err = pthread_create(&id, NULL, jump ? foreign_wreck_jumped : foreign_wreck_cancelled, &t))) return err;
    }
    foreign_wreck_wait_begun(&t, jump ? round + 1 : 1);
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
    foreign_wreck_wait_begun(&t, rounds + 1);
    __atomic_store_n(&t.done, 1, __ATOMIC_SEQ_CST);
    pthread_join(id, NULL);
    *calls = t.calls;
    sigaction(sig, &before, NULL);
  }
  return err;
}
