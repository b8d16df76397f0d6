/* Threads that are cancelled, at any instruction, while they notify; and that none is cancelled by notifying.
 * cancel ROUNDS PATIENCE */
#include "poller.h"

/* ---- notifier_notify is no cancellation point ---- */

static struct block quiet;
static int came_back;

static void *pending(void *arg) {
  int old;
  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old) == 0, "state");
  CHECK(pthread_cancel(pthread_self()) == 0, "cancel");
  CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old) == 0, "state"); /* that is none either */
  if (arg) {
    int code = notifier_notify(*(notifier_handle *)arg);
    came_back = code == NOTIFIER_OK || code == NOTIFIER_COALESCED;
  } else {
    came_back = write(quiet.bell, "12345678", 8) != 0;
  }
  pthread_testcancel();
  came_back = -1; /* the cancellation was not even pending */
  return NULL;
}

static int comes_back(notifier_handle *h) {
  pthread_t t;
  void *result;
  came_back = 0;
  CHECK(pthread_create(&t, NULL, pending, h) == 0, "no thread");
  CHECK(pthread_join(t, &result) == 0, "join");
  CHECK(result == PTHREAD_CANCELED && came_back >= 0, "the cancellation was lost");
  return came_back;
}

static void no_cancellation_point(void) {
  uint64_t most = 0xfffffffffffffffeu;
  notifier_handle h;
  open_block(&quiet, NOTIFIER_BELL_EVENTFD, 1);
  h = admit(&quiet, 9, 1);
  CHECK(!comes_back(NULL), "write(2) was expected to be a cancellation point: this test could not fail");
  empty_bell(&quiet);
  CHECK(comes_back(&h), "up: cancelled");
  for (int kind = NOTIFIER_BELL_EVENTFD; kind <= NOTIFIER_BELL_PIPE; kind++) {
    open_bell(&quiet, (uint32_t)kind);
    CHECK(fall_asleep(&quiet) || scan(&quiet, NULL, NULL), "bed");
    if (!quiet.sleeping) CHECK(fall_asleep(&quiet), "bed");
    CHECK(comes_back(&h), "ringing %d: cancelled", kind);
    CHECK(signalled(&quiet, 0), "not rung");
    wake_up(&quiet);
    scan(&quiet, NULL, NULL);
  }
  open_bell(&quiet, NOTIFIER_BELL_EVENTFD);
  CHECK(write(quiet.bell, &most, 8) == 8, "%s", strerror(errno));
  CHECK(fall_asleep(&quiet), "bed");
  CHECK(comes_back(&h), "ringing a full eventfd: cancelled");
  printf("ok no cancellation point\n");
}

/* ---- cancelled at random ---- */

static struct poller p;
static sem_t acknowledged[MOST_NOTIFIERS];
static int rounds, survivors_left;

static void woken(uint32_t index) {
  if (index < MOST_NOTIFIERS) sem_post(&acknowledged[index]);
}

/* What the victims notify: the first survivor's notifier, one in the same leaf word, one in the next, and one far away.
 * The second survivor's is nobody else's. */
static const uint32_t indexes[] = {1, 1 + 32768, 1 + 2048, 1 + 1024};

static void *survivor(void *arg) {
  long me = (long)arg;
  notifier_handle h = admit(&p.b, (uint32_t)me, 1);
  for (int i = 0; i < rounds; i++) {
    CHECK(notifier_notify(h) >= 0, "notify");
    wait_for(&acknowledged[me], p.patience, "notification", i);
    while (sem_trywait(&acknowledged[me]) == 0) { /* the victims notify the first one's too */
    }
  }
  __atomic_fetch_sub(&survivors_left, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static sem_t begun;

static void *victim(void *arg) {
  int old;
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
  sem_post(&begun);
  for (unsigned i = 0;; i++) {
    notifier_notify(handle_of(&p.b, indexes[(i + (unsigned)(uintptr_t)arg) % 4], 1));
  }
  return NULL;
}

int main(int argc, char **argv) {
  int patience = argc > 2 ? atoi(argv[2]) : 20;
  rounds = argc > 1 ? atoi(argv[1]) : 1000;
  no_cancellation_point();

  for (int kind = NOTIFIER_BELL_EVENTFD; kind <= NOTIFIER_BELL_PIPE; kind++) {
    pthread_t survivors[2], v;
    int cancelled = 0;
    unsigned x = 12345;
    for (int i = 0; i < MOST_NOTIFIERS; i++) sem_init(&acknowledged[i], 0, 0);
    sem_init(&begun, 0, 0);
    start_poller(&p, (uint32_t)kind, patience, woken);
    for (int i = 0; i < 4; i++) admit(&p.b, indexes[i], 1);
    survivors_left = 2;
    for (long i = 0; i < 2; i++) CHECK(pthread_create(&survivors[i], NULL, survivor, (void *)(i + 1)) == 0, "no thread");
    while (__atomic_load_n(&survivors_left, __ATOMIC_SEQ_CST) || cancelled < rounds / 4) {
      CHECK(pthread_create(&v, NULL, victim, (void *)(uintptr_t)x) == 0, "no thread");
      wait_for(&begun, patience, "victim", cancelled);
      x = x * 1103515245u + 12345u;
      for (volatile unsigned n = x >> 16 & 2047; n; n = n - 1) {
      }
      CHECK(pthread_cancel(v) == 0, "cancel");
      pthread_join(v, NULL);
      cancelled++;
    }
    for (int i = 0; i < 2; i++) pthread_join(survivors[i], NULL);
    stop_poller(&p);
    printf("ok %d notifications beside %d cancelled threads\n", 2 * rounds, cancelled);
  }
  return 0;
}
