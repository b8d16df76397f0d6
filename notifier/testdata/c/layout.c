/* Prints the C half of the layout, one "NAME value" a line, and where indexes and handles go: see clayout_test.go. */
#include "notifier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* macros.h is made by the test: a SHOW for each constant that it finds in the text of the header. */
#define SHOW(name) printf(#name " %lld\n", (long long)(name))

int main(int argc, char **argv) {
#include "macros.h"
  for (int i = 1; i < argc; i++) {
    uint32_t index = (uint32_t)strtoul(argv[i], NULL, 10);
    /* Nothing of the header's own, which has this inside notifier_notify: seen through what a call sets. */
    char *base = (char *)aligned_alloc((size_t)1 << NOTIFIER_BASE_SHIFT, (size_t)1 << NOTIFIER_BASE_SHIFT);
    uint32_t *block = (uint32_t *)(void *)base;
    for (size_t w = 0; w < NOTIFIER_BLOCK_SIZE / 4; w++) block[w] = 0;
    block[NOTIFIER_OFFSET_MAGIC / 4] = NOTIFIER_MAGIC;
    block[NOTIFIER_OFFSET_ABI / 4] = NOTIFIER_ABI;
    block[NOTIFIER_OFFSET_GENERATION / 4 + index] = 12345;
    notifier_handle h = (notifier_handle)(uintptr_t)base >> NOTIFIER_BASE_SHIFT << (NOTIFIER_INDEX_BITS + NOTIFIER_GENERATION_BITS) |
                        (notifier_handle)index << NOTIFIER_GENERATION_BITS | 12345;
    int code = notifier_notify(h);
    printf("index %u handle %" PRIu64 " base %" PRIuPTR " code %d words", index, h, (uintptr_t)base, code);
    for (size_t w = NOTIFIER_OFFSET_ROOT / 4; w < NOTIFIER_OFFSET_GENERATION / 4; w++)
      if (block[w]) printf(" %zu=%u", w * 4, block[w]);
    printf("\n");
    free(base);
  }
  return 0;
}
