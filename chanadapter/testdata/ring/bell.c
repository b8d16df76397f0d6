/* The last step of a commit when nobody can be notified. bell ANYTHING FLAGS ANYTHING */
#define _GNU_SOURCE 1
#include "block.h"

int main(int argc, char **argv) {
  reader r;
  notifier_ring ring;
  uint32_t *wanted, *kind, length;
  void *rec = NULL;
  int i;
  MUST(argc == 4);
  ring = reader_open(&r, 4096, (uint32_t)atoi(argv[2]), 4096);
  wanted = word_at(r.control, NOTIFIER_RING_OFFSET_WANTED);
  kind = word_at(r.poller, NOTIFIER_OFFSET_KIND);

  /* A doorbell that fails says so at the commit, and whoever commits next tries again. */
  MUST(!reader_settle(&r));
  STORE(word_at(r.poller, NOTIFIER_OFFSET_ASLEEP), 1);
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
    MUST(notifier_ring_push(ring, r.data, 600) >= 0);
    MUST((rec = reader_take(&r, &length)));
    reader_drop(&r, length);
  }
  MUST(!reader_settle(&r));
  STORE(word_at(r.poller, NOTIFIER_OFFSET_ASLEEP), 1);
  STORE(kind, 99);
  errno = 0;
  MUST(notifier_ring_reserve(ring, 1000, &rec) == NOTIFIER_OK && !errno);
  STORE(kind, NOTIFIER_BELL_PIPE);
  MUST(notifier_ring_commit(ring, rec) >= 0);
  MUST((rec = reader_take(&r, &length)) && length == 1000);
  reader_drop(&r, length);

  /* A producer that comes so late that it finds the next ring here, which has no handle yet, or half of one, puts out nobody's
     light. */
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
