/* A ring without Go, for the programs here: its memory, and a reader that takes the steps of reader.go and block.go
 * in the same order, with the poller of notifier's own programs. Linux. */
#ifndef READER_H
#define READER_H

#define NOTIFIER_RING_PATIENCE_ 3600000 /* else it would make up for who is not woken */
#define NOTIFIER_RING_LOOKS_ 0          /* else who waits would seldom sleep */
#include "ring.h"

#include "block.h" /* notifier's */
#include "words.h"

#include <linux/membarrier.h>
#include <sched.h>

typedef struct {
  struct block poller; /* its notifier has index 0 */
  char *control, *data;
  uint32_t size, step, epoch;
  uintptr_t next, published;
  int mirrored, single;
  uint64_t wakeups;
} reader;

/* Has this thread stay on the nth of the cores that there were at first, if those are two or more: a kernel that has threads
   wake each other may keep them on one, where each sees all that the other did. */
static inline void stay_on(int nth) {
  static cpu_set_t cores;
  cpu_set_t one;
  int cpu;
  if (!CPU_COUNT(&cores) && sched_getaffinity(0, sizeof cores, &cores)) return;
  if (CPU_COUNT(&cores) < 2) return;
  for (cpu = 0; nth >= CPU_ISSET(cpu, &cores); cpu++) nth -= CPU_ISSET(cpu, &cores);
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  (void)sched_setaffinity(0, sizeof one, &one);
}

/* What single_linux.go has. */
static void reader_membarrier(reader *r) {
  MUST(!r->single || !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
}

static inline notifier_ring reader_open(reader *r, uint32_t size, uint32_t flags, uintptr_t position) {
  int mirrored = (flags & NOTIFIER_RING_MIRRORED) != 0;
  notifier_handle notifier;
  memset(r, 0, sizeof *r);
  r->size = size;
  r->step = size / 8;
  r->mirrored = mirrored;
  r->single = (flags & NOTIFIER_RING_SINGLE) != 0;
  MUST(!r->single || !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
  r->next = r->published = position;
  if (mirrored) {
    int fd = (int)syscall(SYS_memfd_create, "ring", 0);
    MUST(fd >= 0 && !ftruncate(fd, size));
    r->data = (char *)mmap(NULL, 2 * (size_t)size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(mmap(r->data, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == r->data);
    MUST(mmap(r->data + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == r->data + size);
    close(fd);
  } else {
    r->data = (char *)calloc(1, size);
  }
  r->control = (char *)aligned_alloc(4096, 4096);
  MUST(r->data && r->control);
  open_block(&r->poller, NOTIFIER_BELL_PIPE, 1);
  notifier = admit(&r->poller, 0, 1);
  memset(r->control, 0, 4096);
  *word_at(r->control, NOTIFIER_RING_OFFSET_MAGIC) = NOTIFIER_RING_MAGIC;
  *word_at(r->control, NOTIFIER_RING_OFFSET_ABI) = NOTIFIER_RING_ABI;
  *word_at(r->control, NOTIFIER_RING_OFFSET_GENERATION) = 8;
  *word_at(r->control, NOTIFIER_RING_OFFSET_FLAGS) = flags;
  *word_at(r->control, NOTIFIER_RING_OFFSET_GIVEN) = 1;
  *word_at(r->control, NOTIFIER_RING_OFFSET_SIZE) = size;
  *word_at(r->control, NOTIFIER_RING_OFFSET_MAX) = size / 2 - NOTIFIER_RING_HEADER_SIZE;
  *word_at(r->control, NOTIFIER_RING_OFFSET_NOTIFIER) = (uint32_t)notifier;
  *word_at(r->control, NOTIFIER_RING_OFFSET_NOTIFIER + 4) = (uint32_t)(notifier >> 32);
  *native_at(r->control, NOTIFIER_RING_OFFSET_DATA) = (uintptr_t)r->data;
  *native_at(r->control, NOTIFIER_RING_OFFSET_POSITION) = position;
  *native_at(r->control, NOTIFIER_RING_OFFSET_CONSUMER) = position;
  return (notifier_ring)(uintptr_t)r->control >> NOTIFIER_RING_BASE_SHIFT << NOTIFIER_RING_GENERATION_BITS | 8;
}

static inline void reader_free(reader *r) {
  if (r->mirrored) munmap(r->data, 2 * (size_t)r->size);
  else free(r->data);
  free(r->control);
  close_block(&r->poller);
}

static inline uint64_t reader_lost(reader *r) { return LOAD(native_at(r->control, NOTIFIER_RING_OFFSET_LOST)); }

static int reader_reserved(reader *r) {
  return (LOAD(native_at(r->control, NOTIFIER_RING_OFFSET_POSITION)) & ~(uintptr_t)NOTIFIER_RING_CLOSED_BIT) != r->next;
}

static uint32_t *reader_state(reader *r) { return word_at(r->data, r->next & (r->size - 1)); }

static int reader_final(reader *r) { return LOAD(reader_state(r)) >= NOTIFIER_RING_READY; }

/* Wakes the producers that wait for room, if there are any: what room.go and room_linux.go have. */
static void reader_wake(reader *r) {
  uint32_t *given = word_at(r->control, NOTIFIER_RING_OFFSET_GIVEN);
  uint32_t *waiting = word_at(r->control, NOTIFIER_RING_OFFSET_WAITING);
  if (!(LOAD(waiting) & NOTIFIER_RING_ASKED)) return;
  (void)__atomic_fetch_and(waiting, ~NOTIFIER_RING_ASKED, __ATOMIC_SEQ_CST);
  (void)__atomic_fetch_add(given, 2, __ATOMIC_SEQ_CST);
  (void)syscall(SYS_futex, given, 1 | 128, 0x7fffffff, NULL, NULL, 0); /* FUTEX_WAKE | FUTEX_PRIVATE_FLAG */
}

static void reader_publish(reader *r) {
  uintptr_t span = r->next - r->published, offset = r->published & (r->size - 1), first = span;
  if (!span) return;
  if (!r->mirrored && first > r->size - offset) first = r->size - offset;
  memset(r->data + offset, 0, first);
  memset(r->data, 0, span - first);
  r->published = r->next;
  STORE(native_at(r->control, NOTIFIER_RING_OFFSET_CONSUMER), r->published);
  reader_wake(r);
}

/* The next record and its length, or NULL. reader_drop is done with it. */
static inline void *reader_take(reader *r, uint32_t *length) {
  for (;;) {
    uint32_t *state = reader_state(r), now = LOAD(state);
    if (now < NOTIFIER_RING_READY) return NULL;
    *length = now & NOTIFIER_RING_LENGTH_MASK;
    MUST(__atomic_load_n(state + 1, __ATOMIC_RELAXED) == ((uint32_t)r->next ^ NOTIFIER_RING_MAGIC));
    if ((now & NOTIFIER_RING_STATE_MASK) == NOTIFIER_RING_READY) return state + 2;
    r->next += NOTIFIER_RING_HEADER_SIZE + ((*length + 7) & ~7u);
    if (r->next - r->published >= r->step) reader_publish(r);
  }
}

static inline void reader_drop(reader *r, uint32_t length) {
  r->next += NOTIFIER_RING_HEADER_SIZE + ((length + 7) & ~7u);
  if (r->next - r->published >= r->step) reader_publish(r);
}

/* 1: there is something. 0: asleep; -1: asleep before a reserved record, to be looked at again. */
static inline int reader_settle(reader *r) {
  uint32_t *wanted = word_at(r->control, NOTIFIER_RING_OFFSET_WANTED);
  reader_publish(r);
  for (;;) {
    int reserved = reader_reserved(r), i;
    for (i = 0; reserved && i < 100; i++)
      if (reader_final(r)) return 1;
    r->epoch += 4;
    STORE(wanted, r->epoch | NOTIFIER_RING_WANTED | (reserved ? NOTIFIER_RING_HEAD_ONLY : 0));
    reader_membarrier(r);
    if (reserved && !reader_final(r)) return -1;
    if (reserved) {
      STORE(wanted, r->epoch);
      return 1;
    }
    if (!reader_reserved(r)) return 0;
  }
}

/* Waits for the notifier, at most for so many milliseconds. 0: time is over. */
static inline int reader_wait(reader *r, int milliseconds) {
  int ready = fall_asleep(&r->poller) ? signalled(&r->poller, milliseconds) : 1, found;
  wake_up(&r->poller);
  found = scan(&r->poller, NULL, NULL);
  r->wakeups++;
  return ready || found;
}

/* Returns where it ended. Every producer is about to have seen that. */
static inline uintptr_t reader_shut(reader *r) {
  uintptr_t *position = native_at(r->control, NOTIFIER_RING_OFFSET_POSITION), end;
  end = __atomic_fetch_or(position, NOTIFIER_RING_CLOSED_BIT, __ATOMIC_SEQ_CST);
  STORE(word_at(r->control, NOTIFIER_RING_OFFSET_GENERATION), 10);
  reader_wake(r);
  if (!r->single) return end & ~(uintptr_t)NOTIFIER_RING_CLOSED_BIT;
  for (;;) {
    reader_membarrier(r);
    if (LOAD(position) & NOTIFIER_RING_CLOSED_BIT) break;
    (void)__atomic_fetch_or(position, NOTIFIER_RING_CLOSED_BIT, __ATOMIC_SEQ_CST);
  }
  while (LOAD(word_at(r->control, NOTIFIER_RING_OFFSET_ENTERED))) {
  }
  return LOAD(position) & ~(uintptr_t)NOTIFIER_RING_CLOSED_BIT;
}

#endif
