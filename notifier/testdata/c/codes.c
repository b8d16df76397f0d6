/* What notifier_notify returns in each case, and what it leaves alone. Prints "ok NAME" for each case. */
#include "block.h"
#include <stdarg.h>

/* Linked with --wrap=syscall, so that the header's system calls can be counted and interrupted. */
#ifdef __cplusplus
extern "C" {
#endif
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
#ifdef __cplusplus
}
#endif

/* volatile: syscall(2) is declared to be one that changes nothing here, and gcc believes it. */
static volatile int calls, interruptions;

long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  int fd = va_arg(list, int);
  void *p = va_arg(list, void *);
  size_t n = va_arg(list, size_t);
  va_end(list);
  calls = calls + 1;
  if (interruptions > 0) {
    interruptions = interruptions - 1;
    errno = EINTR;
    return -1;
  }
  return __real_syscall(number, fd, p, n);
}

#define CODE(want, h)                                                                                                 \
  do {                                                                                                                \
    errno = 4711;                                                                                                     \
    int got_ = notifier_notify(h);                                                                                    \
    CHECK(got_ == (want), "got %d", got_);                                                                            \
    CHECK(errno == 4711, "errno became %d", errno);                                                                   \
  } while (0)

#define FAILS(want, h)                                                                                                \
  do {                                                                                                                \
    errno = 4711;                                                                                                     \
    int got_ = notifier_notify(h);                                                                                    \
    CHECK(got_ == NOTIFIER_FAILED, "got %d", got_);                                                                   \
    CHECK(errno == (want), "errno became %d", errno);                                                                 \
  } while (0)

static void same_or_more(void *arg, uint32_t index) { ((int *)arg)[index == 70000] = 1; }

static void basic(uint32_t kind) {
  struct block b;
  open_block(&b, kind, 1);
  notifier_handle h = admit(&b, 5, 1), other = admit(&b, 70000, 9);

  /* The poller is up: no system call. */
  calls = 0;
  CODE(NOTIFIER_OK, h);
  CODE(NOTIFIER_COALESCED, h);
  CODE(NOTIFIER_OK, other);
  CHECK(calls == 0 && !signalled(&b, 0), "%d calls", calls);
  int seen[2] = {0, 0};
  CHECK(scan(&b, same_or_more, seen) == 2 && seen[0] && seen[1], "a notification was lost");

  /* Asleep: the first one signals and makes the number even, the second need not. */
  CHECK(fall_asleep(&b), "no bed");
  CODE(NOTIFIER_OK, h);
  CHECK(calls == 1 && signalled(&b, 0), "%d calls", calls);
  CHECK(load(WORD(&b, ASLEEP, 0)) == b.epoch + 1, "still asleep");
  CODE(NOTIFIER_COALESCED, h);
  CODE(NOTIFIER_OK, other);
  CHECK(calls == 1, "%d calls", calls);
  wake_up(&b);
  CHECK(scan(&b, NULL, NULL) == 2, "lost");

  /* Coalesced, but asleep, as after somebody's failed signal: signals too. */
  CODE(NOTIFIER_OK, h);
  store(WORD(&b, ASLEEP, 0), b.epoch += 2);
  CODE(NOTIFIER_COALESCED, h);
  CHECK(calls == 2 && signalled(&b, 0), "%d calls", calls);
  wake_up(&b);

  /* Coalesced, but the summaries were lost by one who died: set again. */
  store(WORD(&b, ROOT, 0), 0);
  store(WORD(&b, TOP, word_of(5) >> 10), 0);
  store(WORD(&b, MID, word_of(5) >> 5), 0);
  CODE(NOTIFIER_COALESCED, h);
  CHECK(scan(&b, NULL, NULL) == 1, "lost");

  /* Interrupted: again. */
  CHECK(fall_asleep(&b), "no bed");
  interruptions = 3;
  calls = 0;
  CODE(NOTIFIER_OK, h);
  CHECK(calls == 4 && signalled(&b, 0), "%d calls", calls);
  wake_up(&b);
  scan(&b, NULL, NULL);

  /* Closed, and used by the next owner. */
  admit(&b, 5, 3);
  CODE(NOTIFIER_CLOSED, h);
  CODE(NOTIFIER_CLOSED, handle_of(&b, 6, 1)); /* never given out */
  CHECK(!is_ready(&b, 5) && !is_ready(&b, 6) && load(WORD(&b, ROOT, 0)) == 0, "a stale handle touched something");
  CODE(NOTIFIER_OK, handle_of(&b, 5, 3));
  printf("ok %s\n", kind == NOTIFIER_BELL_PIPE ? "pipe" : "eventfd");
}

static void invalid(void) {
  struct block b;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  notifier_handle h = admit(&b, 0, 1);
  CODE(NOTIFIER_INVALID, 0);
  CODE(NOTIFIER_INVALID, 1);                       /* no block */
  CODE(NOTIFIER_INVALID, handle_of(&b, 0, 0));     /* no generation */
  CODE(NOTIFIER_INVALID, handle_of(&b, 0, 2));     /* a ring's number */
  CODE(NOTIFIER_INVALID, (uint32_t)h);             /* what a type of 32 bits leaves */
  CODE(NOTIFIER_INVALID, (uint64_t)(int64_t)(int32_t)(uint32_t)h | ~(uint64_t)0 << 32);
  CODE(NOTIFIER_INVALID, h >> 32 | 1);
  if (sizeof(void *) == 8) CODE(NOTIFIER_INVALID, h & ~(~(uint64_t)0 << 48)); /* a type of 48; it is all of it on 32-bit */
  CODE(NOTIFIER_INVALID, h | (uint64_t)1 << 63);
  CODE(NOTIFIER_INVALID, (uint64_t)(uintptr_t)&h | 1);   /* pointers */
  CODE(NOTIFIER_INVALID, (uint64_t)(uintptr_t)b.base | 1);
  CODE(NOTIFIER_INVALID, (uint64_t)-1);
  CODE(NOTIFIER_INVALID, (uint64_t)-EBADF);
  store(WORD(&b, ABI, 0), NOTIFIER_ABI + 1);
  CODE(NOTIFIER_INVALID, h);
  store(WORD(&b, ABI, 0), 0);
  CODE(NOTIFIER_CLOSED, h);
  store(WORD(&b, MAGIC, 0), 0);
  CODE(NOTIFIER_CLOSED, h); /* what a wiped block looks like */
  store(WORD(&b, ABI, 0), NOTIFIER_ABI);
  CODE(NOTIFIER_INVALID, h); /* somebody wrote over it */
  store(WORD(&b, MAGIC, 0), NOTIFIER_MAGIC + 1);
  CODE(NOTIFIER_INVALID, h); /* another kind of block */
  store(WORD(&b, ABI, 0), 0);
  CODE(NOTIFIER_INVALID, h);
  CHECK(!is_ready(&b, 0), "touched");
  printf("ok invalid\n");
}

static void failing(void) {
  struct block b;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  notifier_handle h = admit(&b, 7, 3);

  /* The doorbell is gone: the error is told, and what was set stays set for whoever can signal. */
  CHECK(fall_asleep(&b), "no bed");
  uint32_t epoch = load(WORD(&b, ASLEEP, 0));
  store(WORD(&b, DESCRIPTOR, 0), 0xffffffffu);
  FAILS(EBADF, h);
  FAILS(EBADF, h);
  CHECK(load(WORD(&b, ASLEEP, 0)) == epoch, "the number became even though nobody signalled");
  CHECK(is_ready(&b, 7), "the bit was taken back");
  store(WORD(&b, KIND, 0), NOTIFIER_BELL_NONE);
  FAILS(EBADF, h);
  store(WORD(&b, KIND, 0), 77);
  FAILS(EBADF, h);
  store(WORD(&b, KIND, 0), NOTIFIER_BELL_LOOP);
  FAILS(EBADF, h);
  store(WORD(&b, KIND, 0), NOTIFIER_BELL_EVENTFD);
  store(WORD(&b, DESCRIPTOR, 0), (uint32_t)b.bell);
  CODE(NOTIFIER_COALESCED, h); /* the next call makes good for all of them */
  CHECK(signalled(&b, 0), "not rung");
  wake_up(&b);
  CHECK(scan(&b, NULL, NULL) == 1, "lost");

  /* A pipe that nobody can read any more. Go ignores SIGPIPE; a C program that has not gets it. */
  open_bell(&b, NOTIFIER_BELL_PIPE);
  signal(SIGPIPE, SIG_IGN);
  close(b.bell_read);
  CHECK(fall_asleep(&b), "no bed");
  FAILS(EPIPE, h);
  printf("ok failing\n");
}

static void full_eventfd(void) {
  struct block b;
  uint64_t most = 0xfffffffffffffffeu, count;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  notifier_handle h = admit(&b, 1, 1);
  CHECK(write(b.bell, &most, 8) == 8, "%s", strerror(errno));
  CHECK(fall_asleep(&b), "no bed");
  calls = 0;
  CODE(NOTIFIER_OK, h);
  CHECK(calls == 3, "%d calls, not write, read, write", calls);
  CHECK(read(b.bell, &count, 8) == 8 && count == 1, "the counter was not emptied");
  wake_up(&b);
  scan(&b, NULL, NULL);
  /* Interrupted in each of the three. */
  CHECK(write(b.bell, &most, 8) == 8, "%s", strerror(errno));
  CHECK(fall_asleep(&b), "no bed");
  interruptions = 1;
  CODE(NOTIFIER_OK, h);
  CHECK(signalled(&b, 0) && load(WORD(&b, ASLEEP, 0)) == b.epoch + 1, "not rung");
  printf("ok full eventfd\n");
}

static void full_pipe(void) {
  struct block b;
  open_block(&b, NOTIFIER_BELL_PIPE, 1);
  notifier_handle h = admit(&b, 1, 1);
  while (write(b.bell, "", 1) == 1) {
  }
  CHECK(errno == EAGAIN, "%s", strerror(errno));
  CHECK(fall_asleep(&b), "no bed");
  CODE(NOTIFIER_OK, h);
  CHECK(load(WORD(&b, ASLEEP, 0)) == b.epoch + 1, "a full pipe is rung");
  printf("ok full pipe\n");
}

/* The child's exit code says how far it came. */
static void forked(int wipe, int asleep) {
  struct block b;
  open_block(&b, NOTIFIER_BELL_EVENTFD, wipe);
  notifier_handle h = admit(&b, 1, 1), coalesced = admit(&b, 2, 1);
  CODE(NOTIFIER_OK, coalesced);
  if (asleep) store(WORD(&b, ASLEEP, 0), b.epoch += 2);
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0, "%s", strerror(errno));
  if (child == 0) {
    errno = 4711;
    if (notifier_notify(h) != NOTIFIER_CLOSED) _exit(1);
    if (notifier_notify(coalesced) != NOTIFIER_CLOSED) _exit(2);
    if (errno != 4711) _exit(3);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child, "%s", strerror(errno));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child said %#x (wiped %d, asleep %d)", (unsigned)status, wipe, asleep);
  CHECK(!signalled(&b, 0) && !is_ready(&b, 1), "the child rang its parent's doorbell");
  CODE(NOTIFIER_OK, h);
  CODE(NOTIFIER_COALESCED, coalesced);
  CHECK(scan(&b, NULL, NULL) == 2, "the child did harm");
  printf("ok fork wiped=%d asleep=%d\n", wipe, asleep);
}

/* No 64-bit value whose address lies in a block makes a call crash, and only the ones given out do anything. */
static void random_handles(void) {
  struct block b;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  uint64_t x = 88172645463325252u;
  notifier_handle h = admit(&b, 1048575, 524287); /* the last of all */
  CODE(NOTIFIER_OK, h);
  CHECK(scan(&b, NULL, NULL) == 1, "lost");
  for (int i = 0; i < 300000; i++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    notifier_handle wild = handle_of(&b, 0, 0) | (x & (((uint64_t)1 << 39) - 1));
    if (wild == h) continue;
    errno = 4711;
    int got = notifier_notify(wild);
    CHECK(got == (wild & 1 ? NOTIFIER_CLOSED : NOTIFIER_INVALID), "%#llx gave %d", (unsigned long long)wild, got);
    CHECK(errno == 4711, "errno");
  }
  CHECK(load(WORD(&b, ROOT, 0)) == 0 && scan(&b, NULL, NULL) == 0, "a wild handle set a bit");
  printf("ok random handles\n");
}

/* Each index has a bit of its own, and the first 2,048 a cache line of their own. */
static void spread(void) {
  struct block b;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  unsigned char *seen = (unsigned char *)calloc(1 << 17, 1), *lines = (unsigned char *)calloc(2048, 1);
  for (uint32_t i = 0; i < 1u << NOTIFIER_INDEX_BITS; i++) {
    uint32_t at = word_of(i) << 5 | bit_of(i);
    CHECK(word_of(i) < 32768 && bit_of(i) < 32 && index_at(word_of(i), bit_of(i)) == i, "index %u", i);
    CHECK(!(seen[at >> 3] >> (at & 7) & 1), "index %u shares its bit", i);
    seen[at >> 3] |= (unsigned char)(1 << (at & 7));
    if (i < 2048) CHECK(!lines[word_of(i) >> 4]++, "index %u shares its line", i);
  }
  for (uint32_t i = 0; i < 1u << NOTIFIER_INDEX_BITS; i += 997) {
    CODE(NOTIFIER_OK, admit(&b, i, 1));
    CHECK(is_ready(&b, i), "index %u: another bit was set", i);
  }
  CHECK(scan(&b, NULL, NULL) == (1 << NOTIFIER_INDEX_BITS) / 997 + 1, "lost");
  free(seen);
  free(lines);
  printf("ok spread\n");
}

int main(int argc, char **argv) {
  (void)argv;
  basic(NOTIFIER_BELL_EVENTFD);
  basic(NOTIFIER_BELL_PIPE);
  invalid();
  failing();
  full_eventfd();
  full_pipe();
  for (int asleep = 0; asleep < 2; asleep++) {
    forked(0, asleep);
    if (argc < 2) forked(1, asleep); /* an argument: the system cannot wipe */
  }
  random_handles();
  spread();
  return 0;
}
