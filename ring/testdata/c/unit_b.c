/* The other translation unit: the headers come after others, and are used from an inline function. */
#ifdef _WIN32
#include <winsock2.h>
#else
#include <unistd.h>
#endif
#include "notifier.h"
#include "ring.h"

#ifdef __cplusplus
extern "C" {
#endif
int unit_b(void *ring, const void *data, size_t length);
#ifdef __cplusplus
}
#endif

static inline int through(void *ring, const void *data, size_t length) {
  notifier_ring r = (notifier_ring)(uintptr_t)ring;
  void *rec;
  int code = notifier_ring_reserve(r, length, &rec);
  if (code != NOTIFIER_OK) return code;
  memcpy(rec, data, length);
  return length ? notifier_ring_commit(r, rec) : notifier_ring_discard(r, rec);
}

int unit_b(void *ring, const void *data, size_t length) { return through(ring, data, length); }
