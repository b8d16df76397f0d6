/* A thread, and a signal handler on it, push until the ring is shut under them, in each round another ring. What they were
 * told that they have sent must be in the ring, what they had reserved must have a header, and nothing may change any more.
 * shut ROUNDS FLAGS MILLISECONDS */
#define _GNU_SOURCE 1
#include "reader.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

static notifier_ring ring;
static uint64_t sent[2]; /* by the thread, and by its handler */

static int push(uint64_t by) {
  uint64_t number = by << 63 | sent[by];
  void *rec;
  int code;
  if (number % 2) {
    code = notifier_ring_push(ring, &number, sizeof number);
  } else {
    code = notifier_ring_reserve(ring, sizeof number, &rec);
    if (code == NOTIFIER_OK) {
      memcpy(rec, &number, sizeof number);
      code = notifier_ring_commit(ring, rec);
    }
  }
  if (code >= 0) STORE(&sent[by], sent[by] + 1);
  return code;
}

static void on_signal(int unused) {
  (void)unused;
  (void)push(1);
}

static void *push_main(void *unused) {
  stay_on(1);
  while (push(0) != NOTIFIER_CLOSED) {
  }
  MUST(notifier_ring_push(ring, "", 1) == NOTIFIER_CLOSED);
  return unused;
}

static uint64_t received[2];

static void check(void *rec, uint32_t length) {
  uint64_t got;
  MUST(length == sizeof got);
  memcpy(&got, rec, sizeof got);
  MUST((got & ~((uint64_t)1 << 63)) == received[got >> 63]);
  received[got >> 63]++;
}

int main(int argc, char **argv) {
  int round, rounds, undone = 0, handled = 0;
  time_t late, began = time(NULL);
  struct sigaction action;
  MUST(argc == 4);
  rounds = atoi(argv[1]);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  MUST(!sigaction(SIGUSR1, &action, NULL));
  stay_on(0);
  /* Beside busy processes a round may take a thousand times as long: then there are fewer. */
  for (round = 0; round < rounds && (round < 100 || time(NULL) - began < 5); round++) {
    reader r;
    pthread_t thread;
    uintptr_t end, at;
    uint32_t length;
    size_t i;
    late = time(NULL) + 1 + atoi(argv[3]) / 1000;
    memset(sent, 0, sizeof sent);
    memset(received, 0, sizeof received);
    ring = reader_open(&r, 4096, (uint32_t)atoi(argv[2]), 4096);
    MUST(!pthread_create(&thread, NULL, push_main, NULL));
    while (received[0] < (uint64_t)(round % 300)) {
      void *rec = reader_take(&r, &length);
      if (!rec) {
        MUST(time(NULL) < late);
        sched_yield();
        continue;
      }
      check(rec, length);
      reader_drop(&r, length);
    }
    if (round % 2) {
      volatile int pause = round * 37 % 5000; /* the signal has some way to go */
      MUST(!pthread_kill(thread, SIGUSR1));
      while (pause) pause--;
    }
    end = reader_shut(&r);
    for (at = r.next; at != end; at += NOTIFIER_RING_HEADER_SIZE + ((length + 7) & ~7u)) {
      uint32_t *header = word_at(r.data, at & (r.size - 1)), state;
      state = LOAD(header);
#ifdef NOTIFIER_RING_LOCAL_
      MUST(state || !r.single); /* whoever has reserved has said how much */
#endif
      while ((state = LOAD(header)) < NOTIFIER_RING_READY) {
        MUST(time(NULL) < late);
        sched_yield();
      }
      length = state & NOTIFIER_RING_LENGTH_MASK;
      if ((state & NOTIFIER_RING_STATE_MASK) == NOTIFIER_RING_READY) check(header + 2, length);
      else undone++;
    }
    MUST(!pthread_join(thread, NULL));
    MUST(LOAD(&sent[0]) == received[0] && LOAD(&sent[1]) == received[1]);
    MUST(LOAD(native_at(r.control, NOTIFIER_RING_OFFSET_POSITION)) == (end | NOTIFIER_RING_CLOSED_BIT));
    for (i = 0; i < r.published + r.size - end; i += sizeof(uintptr_t))
      MUST(!*native_at(r.data, (end + i) & (r.size - 1)));
    handled += received[1] != 0;
    reader_free(&r);
  }
  printf("%d rounds, %d records that met the end, %d of handlers\n", round, undone, handled);
  return 0;
}
