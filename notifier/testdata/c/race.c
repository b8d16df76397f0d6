/* Plain data published before a notification and read after the wake-up, for ThreadSanitizer and the others: nothing
 * but the protocol orders the two.
 * race ROUNDS PATIENCE */
#include "poller.h"

#define PRODUCERS 3

static struct poller p;
static struct {
  long value;     /* plain */
  long coalesced; /* plain */
  long seen;      /* the poller's */
  long go, ack;   /* relaxed: they order nothing */
  sem_t acknowledged;
  char apart[128];
} cells[PRODUCERS];
static int rounds;

/* ---- one producer for each notifier, and a poller that sleeps ---- */

static void woken(uint32_t index) {
  if (index >= PRODUCERS) return;
  if (cells[index].value == cells[index].seen) return;
  CHECK(cells[index].value == cells[index].seen + 1, "notifier %u: %ld after %ld", (unsigned)index, cells[index].value, cells[index].seen);
  cells[index].seen++;
  sem_post(&cells[index].acknowledged);
}

static void *producer(void *arg) {
  long me = (long)arg;
  notifier_handle h = admit(&p.b, (uint32_t)me, 1);
  for (int i = 0; i < rounds; i++) {
    cells[me].value++;
    CHECK(notifier_notify(h) >= 0, "notify");
    wait_for(&cells[me].acknowledged, p.patience, "notification", i);
  }
  return NULL;
}

/* ---- coalesced: the bit was set before, so what is published counts on a look at it ---- */

static struct block quiet;

static void *taker(void *arg) {
  (void)arg;
  for (long i = 1; i <= rounds; i++) {
    while (__atomic_load_n(&cells[0].go, __ATOMIC_RELAXED) != i) sched_yield();
    CHECK(take(&quiet, 0), "the bit was lost");
    CHECK(cells[0].coalesced == i, "%ld in round %ld", cells[0].coalesced, i);
    __atomic_store_n(&cells[0].ack, i, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void coalesced(void) {
  pthread_t t;
  notifier_handle h;
  open_block(&quiet, NOTIFIER_BELL_EVENTFD, 1);
  h = admit(&quiet, 0, 1);
  CHECK(pthread_create(&t, NULL, taker, NULL) == 0, "no thread");
  for (long i = 1; i <= rounds; i++) {
    CHECK(notifier_notify(h) == NOTIFIER_OK, "first");
    cells[0].coalesced = i;
    CHECK(notifier_notify(h) == NOTIFIER_COALESCED, "second");
    __atomic_store_n(&cells[0].go, i, __ATOMIC_RELAXED);
    while (__atomic_load_n(&cells[0].ack, __ATOMIC_ACQUIRE) != i) sched_yield();
  }
  pthread_join(t, NULL);
}

int main(int argc, char **argv) {
  int patience = argc > 2 ? atoi(argv[2]) : 20;
  rounds = argc > 1 ? atoi(argv[1]) : 1000;
  coalesced();
  printf("ok %d coalesced\n", rounds);
  for (int kind = NOTIFIER_BELL_EVENTFD; kind <= NOTIFIER_BELL_PIPE; kind++) {
    pthread_t t[PRODUCERS];
    memset(cells, 0, sizeof cells);
    for (int i = 0; i < PRODUCERS; i++) sem_init(&cells[i].acknowledged, 0, 0);
    start_poller(&p, (uint32_t)kind, patience, woken);
    for (long i = 0; i < PRODUCERS; i++) CHECK(pthread_create(&t[i], NULL, producer, (void *)i) == 0, "no thread");
    for (int i = 0; i < PRODUCERS; i++) pthread_join(t[i], NULL);
    stop_poller(&p);
    printf("ok %d notifications\n", PRODUCERS * rounds);
  }
  return 0;
}
