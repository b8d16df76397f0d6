/* A thread sends one record and waits until the reader has it, which sleeps as soon as it does: so each record may be the one
 * whose producer and reader do not see each other, and nobody comes after it to make up for that. turns COUNT FLAGS
 * MILLISECONDS */
#define _GNU_SOURCE 1
#include "reader.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

static notifier_ring ring;
static uint64_t count, seen;

/* Lines that both write. The producer's stores wait for them to come from the other core, and what it stores next waits behind
   them, while its loads go ahead: as far apart as they may be. */
static struct {
  char apart[64];
} lines[16];

static void write_lines(void) {
  size_t i;
  for (i = 0; i < sizeof lines / sizeof *lines; i++) __atomic_store_n(lines[i].apart, (char)i, __ATOMIC_RELAXED);
}

static void *push_main(void *unused) {
  uint64_t i;
  stay_on(1);
  for (i = 0; i < LOAD(&count); i++) {
    volatile unsigned pause = (unsigned)(i * 7 % 97);
    int spins = 0;
    while (pause) pause--;
    write_lines();
    MUST(notifier_ring_push(ring, &i, sizeof i) >= 0);
    while (LOAD(&seen) != i + 1)
      if (++spins % 1000 == 0) sched_yield();
  }
  return unused;
}

int main(int argc, char **argv) {
  reader r;
  pthread_t thread;
  uint64_t slept = 0, got, missed = 0;
  uint32_t length;
  time_t began = time(NULL);
  MUST(argc == 4);
  count = (uint64_t)atoll(argv[1]);
  ring = reader_open(&r, 4096, (uint32_t)atoi(argv[2]), 4096);
  stay_on(0);
  MUST(!pthread_create(&thread, NULL, push_main, NULL));
  for (;;) {
    void *rec = reader_take(&r, &length);
    int settled;
    if (rec) {
      memcpy(&got, rec, sizeof got);
      MUST(length == sizeof got && got == seen);
      reader_drop(&r, length);
      /* Beside busy processes a turn may take a thousand times as long: then there are fewer. */
      if (got % 100 == 99 && time(NULL) - began >= 5) STORE(&count, got + 1);
      write_lines();
      STORE(&seen, seen + 1);
      if (seen == count) break;
    }
    settled = reader_settle(&r);
    if (settled > 0) continue;
    slept++;
    /* Before a reserved record it looks again by itself; otherwise somebody must wake it. */
    if (reader_wait(&r, settled < 0 ? 1 : atoi(argv[3]))) continue;
    if (settled < 0) {
      missed += reader_final(&r);
      continue;
    }
    fprintf(stderr, "nobody wakes the reader: %s\n", reader_reserved(&r) ? "there is a record" : "nothing is there");
    return 1;
  }
  MUST(!pthread_join(thread, NULL));
  printf("%llu records, %llu sleeps, %llu commits missed the reader\n", (unsigned long long)count, (unsigned long long)slept,
         (unsigned long long)missed);
  reader_free(&r);
  return 0;
}
