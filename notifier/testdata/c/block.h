/* A block and a poller in C, for tests of notifier.h without Go: made by the offsets that the header documents, as an
 * author of another runtime would. What it lacks of the real poller, it says. */
#ifndef BLOCK_H
#define BLOCK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "notifier.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond, ...)                                                                                              \
  do {                                                                                                                \
    if (!(cond)) {                                                                                                    \
      fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond);                                                      \
      fprintf(stderr, __VA_ARGS__);                                                                                   \
      fputc('\n', stderr);                                                                                            \
      exit(1);                                                                                                        \
    }                                                                                                                 \
  } while (0)

struct block {
  char *base, *mapped; /* mapped: what base is somewhere in */
  int bell, bell_read; /* what is signalled, and what is read: the same one for an eventfd */
  uint32_t kind, epoch;
  int sleeping; /* the poller sleeps: only its doorbell wakes it */
};

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static inline volatile uint32_t *block_word(struct block *b, size_t offset, size_t index) {
  return (volatile uint32_t *)(void *)(b->base + offset) + index;
}
#define WORD(b, name, index) block_word(b, NOTIFIER_OFFSET_##name, index)

static inline uint32_t load(volatile uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static inline void store(volatile uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }

static inline void open_bell(struct block *b, uint32_t kind) {
  b->kind = kind;
  if (kind == NOTIFIER_BELL_PIPE) {
    int fds[2];
    CHECK(pipe(fds) == 0, "%s", strerror(errno));
    for (int i = 0; i < 2; i++) CHECK(fcntl(fds[i], F_SETFL, O_NONBLOCK) == 0, "%s", strerror(errno));
    b->bell_read = fds[0];
    b->bell = fds[1];
  } else {
    b->bell = b->bell_read = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(b->bell >= 0, "eventfd: %s", strerror(errno));
  }
  store(WORD(b, KIND, 0), kind);
  store(WORD(b, DESCRIPTOR, 0), (uint32_t)b->bell);
}

/* Maps a block. wipe: a forked child is to see zeros; else the header has the process id. */
static inline void open_block(struct block *b, uint32_t kind, int wipe) {
  const size_t align = (size_t)1 << NOTIFIER_BASE_SHIFT;
  memset(b, 0, sizeof *b);
  static uint64_t next = (uint64_t)1 << 40; /* valgrind gives low addresses by itself, which fit no handle */
  void *wish = NULL;
  if (sizeof(void *) == 8) wish = (void *)(uintptr_t)(next += 4 * align);
  char *p = (char *)mmap(wish, 2 * align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(p != MAP_FAILED, "mmap: %s", strerror(errno));
  b->mapped = p;
  b->base = p + (-(uintptr_t)p & (align - 1));
  if (wipe) CHECK(madvise(b->base, NOTIFIER_BLOCK_SIZE / 4096 * 4096 + 4096, MADV_WIPEONFORK) == 0, "%s", strerror(errno));
  b->epoch = 1;
  store(WORD(b, MAGIC, 0), NOTIFIER_MAGIC);
  store(WORD(b, PID, 0), wipe ? 0 : (uint32_t)getpid());
  open_bell(b, kind);
  store(WORD(b, ABI, 0), NOTIFIER_ABI);
}

/* Nobody may notify any more, which the real one never asks for. */
static inline void close_block(struct block *b) {
  munmap(b->mapped, (size_t)2 << NOTIFIER_BASE_SHIFT);
  close(b->bell);
  if (b->bell_read != b->bell) close(b->bell_read);
}

static inline notifier_handle handle_of(struct block *b, uint32_t index, uint32_t generation) {
  return (notifier_handle)(uintptr_t)b->base >> NOTIFIER_BASE_SHIFT << (NOTIFIER_INDEX_BITS + NOTIFIER_GENERATION_BITS) |
         (notifier_handle)index << NOTIFIER_GENERATION_BITS | generation;
}

/* Gives index an owner of this generation. */
static inline notifier_handle admit(struct block *b, uint32_t index, uint32_t generation) {
  store(WORD(b, GENERATION, index), generation);
  return handle_of(b, index, generation);
}

static inline uint32_t word_of(uint32_t index) { return (index & 2047) << 4 | (index >> 11 & 15); }
static inline uint32_t bit_of(uint32_t index) { return index >> 15; }
static inline uint32_t index_at(uint32_t word, uint32_t bit) { return bit << 15 | (word & 15) << 11 | word >> 4; }

/* Takes index's ready bit away, as deliver and absorb do, and says whether it was set. */
static inline int take(struct block *b, uint32_t index) {
  uint32_t mask = (uint32_t)1 << bit_of(index);
  int was = (__atomic_fetch_and(WORD(b, LEAF, word_of(index)), ~mask, __ATOMIC_SEQ_CST) & mask) != 0;
#ifndef NOTIFIER_TSAN_ /* gcc warns of fences there, and the bit is always written by notify: acquiring it is enough */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
  return was;
}

static inline int is_ready(struct block *b, uint32_t index) {
  return load(WORD(b, LEAF, word_of(index))) >> bit_of(index) & 1;
}

/* Walks the ready set from the top, clearing each level before it looks at the one below, and calls ready for each
 * notifier found. Returns how many. */
static inline int scan(struct block *b, void (*ready)(void *arg, uint32_t index), void *arg) {
  int n = 0;
  for (uint32_t root = __atomic_exchange_n(WORD(b, ROOT, 0), 0, __ATOMIC_SEQ_CST); root; root &= root - 1) {
    uint32_t t = (uint32_t)__builtin_ctz(root);
    for (uint32_t top = __atomic_exchange_n(WORD(b, TOP, t), 0, __ATOMIC_SEQ_CST); top; top &= top - 1) {
      uint32_t m = t << 5 | (uint32_t)__builtin_ctz(top);
      for (uint32_t mid = __atomic_exchange_n(WORD(b, MID, m), 0, __ATOMIC_SEQ_CST); mid; mid &= mid - 1) {
        uint32_t word = m << 5 | (uint32_t)__builtin_ctz(mid);
        for (uint32_t leaf = load(WORD(b, LEAF, word)); leaf; leaf &= leaf - 1) {
          uint32_t index = index_at(word, (uint32_t)__builtin_ctz(leaf));
          if (take(b, index)) {
            n++;
            if (ready) ready(arg, index);
          }
        }
      }
    }
  }
  return n;
}

static inline void empty_bell(struct block *b) {
  char buffer[4096];
  while (read(b->bell_read, buffer, b->kind == NOTIFIER_BELL_PIPE ? sizeof buffer : 8) > 0) {
  }
}

/* The first half of falling asleep: 1 if the poller may sleep now. */
static inline int fall_asleep(struct block *b) {
  store(WORD(b, ASLEEP, 0), b->epoch += 2);
  b->sleeping = load(WORD(b, ROOT, 0)) == 0;
  if (!b->sleeping) store(WORD(b, ASLEEP, 0), b->epoch + 1);
  return b->sleeping;
}

/* Whether the doorbell has signalled, waiting for up to timeout milliseconds. Only that wakes a poller that is asleep. */
static inline int signalled(struct block *b, int timeout) {
  struct pollfd p;
  memset(&p, 0, sizeof p);
  p.fd = b->bell_read;
  p.events = POLLIN;
  int n;
  while ((n = poll(&p, 1, timeout)) < 0 && errno == EINTR) {
  }
  return n > 0;
}

static inline void wake_up(struct block *b) {
  empty_bell(b);
  b->sleeping = 0;
  store(WORD(b, ASLEEP, 0), b->epoch + 1);
}

#endif
