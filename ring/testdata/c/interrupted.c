/* A signal that ends the sleep of who waits (EINTR) is no failure, and does not make its time shorter: in futex(2), and in
 * poll(2), which is the clock of a ring.h that takes no system for Linux. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "notifier.h"

static int calls, slept; /* slept in ms, by poll */

/* Three of four sleeps are interrupted. */
static int interrupted(void) {
  errno = EINTR;
  return ++calls % 4;
}

static int interrupted_poll(struct pollfd *p, nfds_t n, int ms) {
  (void)p;
  (void)n;
  if (interrupted()) return -1;
  slept += ms;
  return 0;
}

#define poll(p, n, ms) interrupted_poll(p, n, ms)
#define syscall(number, ...) ((number) == SYS_futex && interrupted() ? -1 : syscall(number, __VA_ARGS__))
#include "reader.h"

int main(void) {
  static char bytes[2000];
  reader r;
  notifier_ring ring = reader_open(&r, 4096, 0, 4096);
  MUST(notifier_ring_push(ring, bytes, sizeof bytes) >= 0 && notifier_ring_push(ring, bytes, sizeof bytes) >= 0);
  errno = 0;
  MUST(notifier_ring_wait(ring, sizeof bytes, 20) == NOTIFIER_TIMEOUT && !errno);
  MUST(calls >= 4);
#ifdef NOTIFIER_RING_TICKS_
  MUST(slept >= 19);
#endif
  reader_free(&r);
  return 0;
}
