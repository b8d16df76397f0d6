/* The store-buffering litmus test of notifier_notify's first step:
 *
 *     producer            poller
 *     data = new          take the ready bit away, full fence
 *     notify: COALESCED   read data
 *
 * Coalesced means that the bit was still set, so the data must be the new. Without the producer's fence its store may
 * wait in a store buffer until after the look, on x86 too, and the poller reads the old.
 * litmus SECONDS: exit code 0 if it never happens, 3 at the first time that it does. */
#include "block.h"
#include <sched.h>
#include <time.h>

#define CELLS 512

static struct block b;
static struct {
  volatile long value;
  char apart[120];
} data[CELLS] __attribute__((aligned(128)));
static int result[CELLS];
static long seen[CELLS];
static struct {
  long round, at; /* atomic: the producer's round, and the cell that it has come to */
  char apart[112];
} progress __attribute__((aligned(128)));
static long finished; /* atomic: the poller's round */
static volatile int stop;

static void *poller(void *arg) {
  (void)arg;
  for (long r = 1;; r++) {
    long lead = r % 6; /* cells that it tries to be before the producer */
    for (int n = 0; __atomic_load_n(&progress.round, __ATOMIC_ACQUIRE) != r; n++)
      if (n > 1000) sched_yield();
    if (stop) return NULL;
    for (uint32_t i = 0; i < CELLS; i++) {
      for (int n = 0; __atomic_load_n(&progress.at, __ATOMIC_RELAXED) + lead < (long)i; n++)
        if (n > 1000) sched_yield();
      take(&b, i);
      seen[i] = data[i].value;
    }
    __atomic_store_n(&finished, r, __ATOMIC_RELEASE);
  }
}

int main(int argc, char **argv) {
  pthread_t t;
  time_t until = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
  notifier_handle h[CELLS];
  long r, coalesced = 0, overtaken = 0;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  for (uint32_t i = 0; i < CELLS; i++) h[i] = admit(&b, i, 1);
  CHECK(pthread_create(&t, NULL, poller, NULL) == 0, "no thread");
  for (r = 1; time(NULL) < until; r++) {
    for (uint32_t i = 0; i < CELLS; i++) CHECK(notifier_notify(h[i]) >= 0, "notify");
    __atomic_store_n(&progress.at, -100, __ATOMIC_RELAXED);
    __atomic_store_n(&progress.round, r, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < CELLS; i++) {
      __atomic_store_n(&progress.at, i, __ATOMIC_RELAXED);
      data[i].value = r;
      result[i] = notifier_notify(h[i]);
    }
    __atomic_store_n(&progress.at, CELLS, __ATOMIC_RELAXED);
    for (int n = 0; __atomic_load_n(&finished, __ATOMIC_ACQUIRE) != r; n++)
      if (n > 1000) sched_yield();
    for (uint32_t i = 0; i < CELLS; i++) {
      if (result[i] != NOTIFIER_COALESCED) {
        overtaken++;
        continue;
      }
      coalesced++;
      if (seen[i] == r) continue;
      printf("lost: in round %ld notification %u was coalesced, and the poller read %ld\n", r, (unsigned)i, seen[i]);
      return 3;
    }
  }
  stop = 1;
  __atomic_store_n(&progress.round, r, __ATOMIC_RELEASE);
  pthread_join(t, NULL);
  printf("%ld coalesced, %ld after the poller: none lost\n", coalesced, overtaken);
  return 0;
}
