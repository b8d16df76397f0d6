/* A producer whose ring ends between two of its looks, with another ring on the control block by then, is refused for its own:
 * the other's numbers do not make its record too large or that ring full, and nothing is counted there.
 * refused ANYTHING FLAGS ANYTHING */
#define _GNU_SOURCE 1
#include "notifier.h"

/* What happens when a producer has read the position, and is about to read the word at moment. */
static volatile uint32_t *moment;
static void (*happens)(void);

static uint32_t load_at_a_moment(volatile uint32_t *p) {
  if (p == moment) {
    moment = NULL;
    happens();
  }
  return notifier_load_(p);
}

/* The header's own looks go through this. */
#define notifier_load_(p) load_at_a_moment(p)
#include "reader.h"

static reader r;
static char bytes[100];
static uint32_t next_max;

static void another_ring(void) {
  uintptr_t start = (reader_shut(&r) + 4095) & ~(uintptr_t)4095;
  STORE(word_at(r.control, NOTIFIER_RING_OFFSET_MAX), next_max);
  STORE(native_at(r.control, NOTIFIER_RING_OFFSET_CONSUMER), start);
  STORE(native_at(r.control, NOTIFIER_RING_OFFSET_POSITION), start);
}

int main(int argc, char **argv) {
  uint32_t limits[] = {8, 2040}; /* too large for that one; and not, but its consumer is far away */
  size_t i;
  MUST(argc == 4);
  for (i = 0; i < sizeof limits / sizeof *limits; i++) {
    notifier_ring ring = reader_open(&r, 4096, (uint32_t)atoi(argv[2]), 4096);
    MUST(notifier_ring_push(ring, bytes, sizeof bytes) >= 0);
    next_max = limits[i];
    happens = another_ring;
    /* Else reader_shut waits for the producer to leave reserve, where it is called. */
    r.single = 0;
    moment = word_at(r.control, NOTIFIER_RING_OFFSET_MAX);
    MUST(notifier_ring_push(ring, bytes, sizeof bytes) == NOTIFIER_CLOSED);
    MUST(!moment);
    MUST(!reader_lost(&r));
    reader_free(&r);
  }
  return 0;
}
