/* Whom a producer wakes, and what its last step does when nobody can be notified. bell ANYTHING FLAGS ANYTHING */
#define _GNU_SOURCE 1
#include "reader.h"

static char bytes[1000];

/* Whether the reader was notified since the last time. A signal may be left when the bits are gone. */
static int notified(reader *r) {
  int any = 0;
  while (reader_wait(r, 0)) any = 1;
  return any;
}

int main(int argc, char **argv) {
  reader r;
  notifier_ring ring;
  volatile uint32_t *kind;
  uint32_t *wanted, length;
  uintptr_t *position, before;
  void *rec = NULL;
  int i;
  MUST(argc == 4);
  ring = reader_open(&r, 4096, (uint32_t)atoi(argv[2]), 4096);
  wanted = word_at(r.control, NOTIFIER_RING_OFFSET_WANTED);
  kind = WORD(&r.poller, KIND, 0);

  /* A doorbell that fails says so at the commit, and whoever commits next tries again. */
  MUST(!reader_settle(&r));
  STORE(WORD(&r.poller, ASLEEP, 0), 1);
  STORE(kind, 99);
  errno = 0;
  MUST(notifier_ring_push(ring, NULL, 0) == NOTIFIER_FAILED && errno);
  MUST(LOAD(wanted) & NOTIFIER_RING_WANTED);
  STORE(kind, NOTIFIER_BELL_PIPE);
  MUST(notifier_ring_push(ring, NULL, 0) >= 0);
  MUST(!(LOAD(wanted) & NOTIFIER_RING_WANTED));
  MUST(reader_wait(&r, 1000));

  /* Padding has no code of its own to say it with, so it leaves errno alone. */
  while ((rec = reader_take(&r, &length))) reader_drop(&r, length);
  for (i = 0; i < 6; i++) {
    MUST(notifier_ring_push(ring, bytes, 600) >= 0);
    MUST((rec = reader_take(&r, &length)));
    reader_drop(&r, length);
  }
  MUST(!reader_settle(&r));
  STORE(WORD(&r.poller, ASLEEP, 0), 1);
  STORE(kind, 99);
  errno = 0;
  MUST(notifier_ring_reserve(ring, 1000, &rec) == NOTIFIER_OK && !errno);
  STORE(kind, NOTIFIER_BELL_PIPE);
  MUST(notifier_ring_commit(ring, rec) >= 0);
  MUST((rec = reader_take(&r, &length)) && length == 1000);
  reader_drop(&r, length);

  /* A reader who sleeps at a reserved record is woken for that one, and stays asleep for those behind it. */
  (void)notified(&r);
  MUST(notifier_ring_reserve(ring, 8, &rec) == NOTIFIER_OK);
  MUST(reader_settle(&r) < 0);
  MUST(notifier_ring_push(ring, NULL, 0) == NOTIFIER_COALESCED);
  MUST(LOAD(wanted) & NOTIFIER_RING_WANTED);
  MUST(!notified(&r));
  MUST(notifier_ring_commit(ring, rec) == NOTIFIER_OK);
  MUST(!(LOAD(wanted) & NOTIFIER_RING_WANTED));
  MUST(notified(&r));
  while ((rec = reader_take(&r, &length))) reader_drop(&r, length);

  /* That may be padding. The reader goes to sleep when the position has moved and the padding has no header yet; its producer
     does not look at wanted in between, so that for it this may as well have been before. */
  for (i = 0; i < 5; i++) {
    MUST(notifier_ring_push(ring, bytes, 600) >= 0);
    MUST((rec = reader_take(&r, &length)));
    reader_drop(&r, length);
  }
  position = native_at(r.control, NOTIFIER_RING_OFFSET_POSITION);
  before = LOAD(position);
  MUST((before & (r.size - 1)) + 1008 > r.size);
  STORE(position, before + r.size / 2);
  MUST(reader_settle(&r) < 0);
  STORE(position, before);
  (void)notified(&r);
  MUST(notifier_ring_reserve(ring, 1000, &rec) == NOTIFIER_OK);
  MUST(!(LOAD(wanted) & NOTIFIER_RING_WANTED) == !r.mirrored);
  MUST(notified(&r) == !r.mirrored);
  MUST(!reader_take(&r, &length));
  MUST(reader_settle(&r) < 0);
  MUST(notifier_ring_commit(ring, rec) == NOTIFIER_OK);
  MUST(notified(&r));
  MUST((rec = reader_take(&r, &length)) && length == 1000);
  reader_drop(&r, length);

  /* A producer that comes so late that it finds the next ring here, which has no handle yet, or half of one, does not say that
     the reader was woken. */
  MUST(!reader_settle(&r));
  for (i = 0; i < 2; i++) {
    uint32_t *half = word_at(r.control, NOTIFIER_RING_OFFSET_NOTIFIER), low = half[0];
    half[0] = 0;
    if (i) half[1] = 0;
    MUST(notifier_ring_wake_(r.control, 0) == NOTIFIER_OK);
    MUST(LOAD(wanted) & NOTIFIER_RING_WANTED);
    half[0] = low;
  }
  reader_free(&r);
  return 0;
}
