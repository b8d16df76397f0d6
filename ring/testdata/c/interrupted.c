/* A signal that ends the sleep of who waits (EINTR) is no failure, and does not make its time shorter: in futex(2), and in
 * poll(2), which is the clock of a ring.h that takes no system for Linux. On a clock that only sleeping moves: a program that
 * is stopped for long looks as often as any other. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "notifier.h"

static int calls;
static long clock_ms = 1990;

/* Three of four sleeps are interrupted. */
static int interrupted(void) {
  errno = EINTR;
  return ++calls % 4;
}

static int interrupted_poll(struct pollfd *p, nfds_t n, int ms) {
  (void)p;
  (void)n;
  if (interrupted()) return -1;
  clock_ms += ms;
  return 0;
}

/* clock_gettime(2), or futex(2) until a time that comes. */
static long interrupted_call(long number, ...) {
  struct timespec *t;
  va_list arguments;
  va_start(arguments, number);
  if (number == SYS_futex) {
    (void)va_arg(arguments, uint32_t *);
    (void)va_arg(arguments, int);
    (void)va_arg(arguments, uint32_t);
  } else {
    (void)va_arg(arguments, int);
  }
  t = va_arg(arguments, struct timespec *);
  va_end(arguments);
  if (number == SYS_clock_gettime) {
    t->tv_sec = clock_ms / 1000;
    t->tv_nsec = clock_ms % 1000 * 1000000;
    return 0;
  }
  if (interrupted()) return -1;
  clock_ms = t->tv_sec * 1000 + t->tv_nsec / 1000000;
  errno = ETIMEDOUT;
  return -1;
}

#define poll(p, n, ms) interrupted_poll(p, n, ms)
#define syscall(number, ...) interrupted_call(number, __VA_ARGS__)
#include "reader.h"

int main(void) {
  static char bytes[2000];
  const long began = clock_ms;
  reader r;
  notifier_ring ring = reader_open(&r, 4096, 0, 4096);
  MUST(notifier_ring_push(ring, bytes, sizeof bytes) >= 0 && notifier_ring_push(ring, bytes, sizeof bytes) >= 0);
  errno = 0;
  MUST(notifier_ring_wait(ring, sizeof bytes, 20) == NOTIFIER_TIMEOUT && !errno);
  MUST(calls >= 4);
  MUST(clock_ms - began >= 19);
  reader_free(&r);
  return 0;
}
