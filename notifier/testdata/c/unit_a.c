/* One of two translation units that include the header. This one asks for nothing but the standard, includes unistd.h
 * first and the header twice, and runs each path of notifier_notify once on a block of its own. unit_b.c does it the
 * other way round. Both are C11 and C++17 at once. */
#ifndef _WIN32
#include <unistd.h>
#endif
#include "notifier.h"
#include "notifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int unit_b(void *handle);
#ifdef __cplusplus
}
#endif

#if NOTIFIER_OK != 0 || NOTIFIER_COALESCED != 1 || NOTIFIER_CLOSED != -1 || NOTIFIER_INVALID != -2 || NOTIFIER_FAILED != -3
#error "the codes are not for the preprocessor"
#endif

/* A function pointer, a struct member and a switch: whatever an engine does with it. */
struct callback {
  int (*call)(notifier_handle);
  notifier_handle argument;
};

#ifdef _WIN32
int min(int, int); /* macros of these names would break C++ */
int max(int, int);
int main(void) { return unit_b(NULL) == NOTIFIER_INVALID ? 0 : 1; }
#else

static const char *name(int code) {
  switch (code) {
  case NOTIFIER_OK: return "OK";
  case NOTIFIER_COALESCED: return "COALESCED";
  case NOTIFIER_CLOSED: return "CLOSED";
  case NOTIFIER_INVALID: return "INVALID";
  case NOTIFIER_FAILED: return "FAILED";
  default: return "?";
  }
}

int main(void) {
  struct callback c;
  int ends[2];
  size_t size = (size_t)1 << NOTIFIER_BASE_SHIFT;
  char *base = (char *)aligned_alloc(size, size);
  uint32_t *block = (uint32_t *)(void *)base;
  if (!base || pipe(ends)) return 1;
  memset(base, 0, NOTIFIER_BLOCK_SIZE);
  block[NOTIFIER_OFFSET_MAGIC / 4] = NOTIFIER_MAGIC;
  block[NOTIFIER_OFFSET_ABI / 4] = NOTIFIER_ABI;
  block[NOTIFIER_OFFSET_KIND / 4] = NOTIFIER_BELL_PIPE;
  block[NOTIFIER_OFFSET_DESCRIPTOR / 4] = (uint32_t)ends[1];
  block[NOTIFIER_OFFSET_ASLEEP / 4] = 1;
  block[NOTIFIER_OFFSET_GENERATION / 4] = 1;
  c.call = notifier_notify;
  c.argument = (notifier_handle)(uintptr_t)base >> NOTIFIER_BASE_SHIFT << (NOTIFIER_INDEX_BITS + NOTIFIER_GENERATION_BITS) | 1;
  printf("%s", name(c.call(c.argument)));
  printf(" %s", name(unit_b((void *)(uintptr_t)c.argument)));
  printf(" %s", name(c.call(c.argument + 2)));
  printf(" %s", name(c.call(0)));
  block[NOTIFIER_OFFSET_ASLEEP / 4] = 3;
  block[NOTIFIER_OFFSET_KIND / 4] = NOTIFIER_BELL_NONE;
  printf(" %s\n", name(c.call(c.argument)));
  free(base);
  return 0;
}

#endif
