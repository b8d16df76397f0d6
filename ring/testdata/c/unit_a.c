/* One of two translation units that include the header. This one asks for nothing but the standard, includes the header
 * twice, and passes its functions on. unit_b.c does it the other way round. Both are C11 and C++17 at once. */
#include "ring.h"
#include "ring.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif
int unit_b(void *ring, const void *data, size_t length);
#ifdef __cplusplus
}
#endif

#if NOTIFIER_FULL != -4 || NOTIFIER_TOO_LARGE != -5 || NOTIFIER_RING_ABI != 1
#error "the codes are not for the preprocessor"
#endif

/* Function pointers and a switch: whatever an engine does with them. */
struct sink {
  int (*push)(notifier_ring, const void *, size_t);
  int (*try_)(notifier_ring, const void *, size_t);
  int (*wait)(notifier_ring, size_t, int);
  int (*reserve)(notifier_ring, size_t, void **);
  int (*commit)(notifier_ring, void *);
  int (*discard)(notifier_ring, void *);
};

static const char *name(int code) {
  switch (code) {
  case NOTIFIER_OK: return "OK";
  case NOTIFIER_COALESCED: return "COALESCED";
  case NOTIFIER_CLOSED: return "CLOSED";
  case NOTIFIER_INVALID: return "INVALID";
  case NOTIFIER_FAILED: return "FAILED";
  case NOTIFIER_FULL: return "FULL";
  case NOTIFIER_TIMEOUT: return "TIMEOUT";
  case NOTIFIER_TOO_LARGE: return "TOO_LARGE";
  default: return "?";
  }
}

/* An Out's three, with a number that names nothing. */
static int out_none(notifier_out none) {
  size_t (*read)(notifier_out, void *, size_t) = notifier_out_read;
  size_t (*peek)(notifier_out, const void **) = notifier_out_peek;
  void (*done)(notifier_out) = notifier_out_done;
  char buffer[8];
  const void *rec = NULL;
  done(none);
  return read(none, buffer, sizeof buffer) != 0 || peek(none, &rec) != 0 || rec;
}

int main(int argc, char **argv) {
  struct sink s;
  void *rec = NULL;
  notifier_ring none = (notifier_ring)(argc - 1); /* not a constant, as in life: about those compilers say too much */
  (void)argv;
  s.push = notifier_ring_push;
  s.try_ = notifier_ring_try;
  s.wait = notifier_ring_wait;
  s.reserve = notifier_ring_reserve;
  s.commit = notifier_ring_commit;
  s.discard = notifier_ring_discard;
  printf("%s", name(s.push(none, "data", 4)));
  printf(" %s", name(s.try_(none, "data", 4)));
  printf(" %s", name(s.wait(none, 4, -1)));
  printf(" %s", name(s.reserve(none, 4, &rec)));
  printf(" %s", name(s.commit(none, NULL)));
  printf(" %s", name(s.discard(none, NULL)));
  printf(" %s\n", name(unit_b((void *)(uintptr_t)none, "data", 4)));
  return out_none(none);
}
