/* ring.h: hand records to a goroutine from any thread, signal handler or language.
 *
 * MIT License. Part of github.com/wakechan/wakechan; header-only, C11 or C++17, needs notifier.h beside it and no library.
 *
 *     r, err := chanadapter.NewRing(1 << 16)   // Go
 *     h, err := r.Handle()
 *     C.start_engine(C.uint64_t(h))
 *     for range r.C() { for rec := range r.Records() { use(rec) } }
 *
 *     notifier_ring_push(h, &sample, sizeof sample);   // the engine, on whatever thread
 *
 * This file is also the document of the ABI: what stands here in C can be written in any language that has sequentially
 * consistent atomics of 32 bits and of the size of a pointer (see examples/rustring for Rust).
 *
 * WHAT IT PROMISES
 *   - Records of any length up to the ring's maximum, from any number of producers, reach the one reader in the order of
 *     reservation, so each producer's in its order; each once, or it is counted as lost.
 *   - A producer never waits: a full ring gives NOTIFIER_FULL. Nothing is overwritten.
 *   - All calls may be made by any thread, known to Go or not, by signal handlers (also by one that interrupts such a call
 *     on its own thread), and while Go has stopped the world. They take no lock, allocate nothing, never enter the Go
 *     runtime, and keep errno unless they return NOTIFIER_FAILED. They are no cancellation points. The one loop, in reserve,
 *     repeats only when another producer reserved in between: it is lock-free, and a signal handler never waits for the
 *     thread that it interrupted.
 *   - Only the record that finds the reader asleep wakes it: see notifier.h for what that costs, otherwise it is one load.
 *   - A ring's number is harmless for ever. After Close every call gives NOTIFIER_CLOSED; memory that was reserved before
 *     stays valid until it is committed or discarded.
 *   - In a forked child every call gives NOTIFIER_CLOSED. Do not carry a reservation into a child: its memory may not be
 *     there.
 *   - A thread that dies, is cancelled or jumps away between reserve and commit loses its record and stops the reader there,
 *     who is told (Ring.Stalled); at any other instruction it harms nobody. Keep what you do in between short.
 *   - A ring made WithSingleProducer has one thread at a time in push and reserve (and the signal handlers that interrupt it
 *     there): whoever comes after another was told by it, by a mutex or a join. In return that takes no locked instruction, on
 *     Linux on x86-64 and arm64; elsewhere nothing changes. Who dies in reserve, or jumps out of it, keeps the ring's memory
 *     after Close. Commit and discard may be anybody's. Two in reserve at once lose records, stop the reader or end the ring
 *     with an error, and may write to memory that is not the ring's any more when it is closed.
 *
 * THE NUMBER
 *   64 bits:  base >> 12 (36)  |  generation (28, never 0)
 *   base is the address of the control block: a multiple of 4096, below 2^48, never unmapped. Another ring may get it later:
 *   with another generation.
 *
 * THE CONTROL BLOCK (offsets in bytes; host's byte order; "word": 32 bits; "native": as wide as a pointer)
 *        0  magic        word: NOTIFIER_RING_MAGIC
 *        4  abi          word: NOTIFIER_RING_ABI; 0 in a forked child that sees zeros
 *        8  generation   word: the present ring's
 *       12  flags        word: NOTIFIER_RING_MIRRORED, NOTIFIER_RING_SINGLE
 *       16  size         word: bytes of data, a power of two
 *       20  max          word: longest record
 *       24  notifier     two words: low and high half of the notifier_handle to notify
 *       32  data         native: address of the data, a multiple of 8
 *       40  pid          word: the process that may push, where a forked child has a copy of this; 0: it sees zeros
 *      128  position     native: where the next record will be reserved, in bytes since the beginning, a multiple of 8;
 *                        wraps round; bit 0: the ring is closed
 *      136  entered      word: SINGLE: 1 while the producer is in reserve
 *      256  consumer     native: how far the reader has given memory back
 *      264  wanted       word: bit 0: the reader is asleep; bit 1: only the record at consumer is of use to it; the rest is
 *                        a number that is never the same twice, nor in the time of the next ring
 *      384  lost         native: records that did not fit
 *
 * THE DATA
 *   A record at position p has its header at data + p % size, a multiple of 8, and its bytes behind it, padded to a multiple
 *   of 8. MIRRORED: the same memory follows once more at data + size, so that a record may run over the end. Otherwise the
 *   reservation of a record that would run over the end also takes what is left there, as a record that is dropped.
 *        0  state        word: NOTIFIER_RING_BUSY, _READY or _DROPPED, plus the length in bytes; or 0
 *        4  tag          word: low half of the record's position ^ NOTIFIER_RING_MAGIC
 *   All memory between the position and consumer + size is zero: state 0 means not reserved, or not written yet.
 *
 * TO PUSH: reserve, fill, commit, as below. The reader's half is ring.go, which has the whole protocol in words. Who does not
 * know of SINGLE reserves as for any ring, and is right; but what it is refused while Close runs may not be counted as lost.
 */
#ifndef NOTIFIER_RING_H
#define NOTIFIER_RING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "notifier.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t notifier_ring; /* pass it through a void *: on 64-bit systems it fits */

#define NOTIFIER_RING_ABI 1

/* Beside the codes of notifier.h: */
#define NOTIFIER_FULL (-4)      /* no room: counted as lost */
#define NOTIFIER_TOO_LARGE (-5) /* longer than any record can be: counted as lost */

/* The layout. ring_abi_test.go compares these with the Go half. */
#define NOTIFIER_RING_MAGIC 0x676e6972u
#define NOTIFIER_RING_BASE_SHIFT 12
#define NOTIFIER_RING_GENERATION_BITS 28
#define NOTIFIER_RING_OFFSET_MAGIC 0
#define NOTIFIER_RING_OFFSET_ABI 4
#define NOTIFIER_RING_OFFSET_GENERATION 8
#define NOTIFIER_RING_OFFSET_FLAGS 12
#define NOTIFIER_RING_OFFSET_SIZE 16
#define NOTIFIER_RING_OFFSET_MAX 20
#define NOTIFIER_RING_OFFSET_NOTIFIER 24
#define NOTIFIER_RING_OFFSET_DATA 32
#define NOTIFIER_RING_OFFSET_PID 40
#define NOTIFIER_RING_OFFSET_POSITION 128
#define NOTIFIER_RING_OFFSET_ENTERED 136
#define NOTIFIER_RING_OFFSET_CONSUMER 256
#define NOTIFIER_RING_OFFSET_WANTED 264
#define NOTIFIER_RING_OFFSET_LOST 384
#define NOTIFIER_RING_CONTROL_SIZE 512

#define NOTIFIER_RING_MIRRORED 1u /* flags */
#define NOTIFIER_RING_SINGLE 2u

#define NOTIFIER_RING_CLOSED_BIT 1u    /* position */
#define NOTIFIER_RING_POSITION_MASK 7u /* all of these are clear in an open ring's */

#define NOTIFIER_RING_WANTED 1u /* wanted */
#define NOTIFIER_RING_HEAD_ONLY 2u

#define NOTIFIER_RING_HEADER_SIZE 8
#define NOTIFIER_RING_BUSY 0x40000000u    /* reserved */
#define NOTIFIER_RING_READY 0x80000000u   /* committed */
#define NOTIFIER_RING_DROPPED 0xc0000000u /* discarded, refused, or padding */
#define NOTIFIER_RING_STATE_MASK 0xc0000000u
#define NOTIFIER_RING_LENGTH_MASK 0x3fffffffu

/* ---- atomics: sequentially consistent, or plain_: relaxed, or publish_: release ---- */

#if defined(_MSC_VER) && !defined(__clang__)

static __inline uintptr_t notifier_ring_load_(volatile uintptr_t *p) {
  return (uintptr_t)_InterlockedCompareExchangePointer((void *volatile *)p, NULL, NULL);
}
static __inline int notifier_ring_cas_(volatile uintptr_t *p, uintptr_t from, uintptr_t to) {
  return _InterlockedCompareExchangePointer((void *volatile *)p, (void *)to, (void *)from) == (void *)from;
}
static __inline void notifier_ring_count_(volatile uintptr_t *p) {
#ifdef _WIN64
  (void)_InterlockedIncrement64((volatile __int64 *)p);
#else
  (void)_InterlockedIncrement((volatile long *)p);
#endif
}
static __inline void notifier_ring_plain_store_(volatile uint32_t *p, uint32_t v) { *p = v; }
static __inline uint32_t notifier_ring_plain_load_(volatile uint32_t *p) { return *p; }
static __inline void notifier_ring_publish_(volatile uint32_t *p, uint32_t v) {
  (void)_InterlockedExchange((volatile long *)p, (long)v);
}

#else

NOTIFIER_INLINE_ uintptr_t notifier_ring_load_(volatile uintptr_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
NOTIFIER_INLINE_ int notifier_ring_cas_(volatile uintptr_t *p, uintptr_t from, uintptr_t to) {
  return __atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
NOTIFIER_INLINE_ void notifier_ring_count_(volatile uintptr_t *p) { (void)__atomic_fetch_add(p, 1, __ATOMIC_RELAXED); }
NOTIFIER_INLINE_ void notifier_ring_plain_store_(volatile uint32_t *p, uint32_t v) {
  __atomic_store_n(p, v, __ATOMIC_RELAXED);
}
NOTIFIER_INLINE_ uint32_t notifier_ring_plain_load_(volatile uint32_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
NOTIFIER_INLINE_ void notifier_ring_publish_(volatile uint32_t *p, uint32_t v) {
  __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

#endif

/* A single producer's ring needs membarrier(2) at the other end, which Linux has. ThreadSanitizer knows neither that nor
   assembly: there every ring is like any other. */
#if defined(__linux__) && (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__aarch64__)) && \
    defined(__LP64__) && !defined(__SANITIZE_THREAD__)
#define NOTIFIER_RING_LOCAL_ 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef NOTIFIER_RING_LOCAL_
#endif
#endif
#endif

#ifdef NOTIFIER_RING_LOCAL_
/* The producer's half of a fence. The other half is membarrier(2), which makes it one in both, wherever this thread is. */
NOTIFIER_INLINE_ void notifier_ring_local_fence_(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
#endif

/* local: atomic for this thread only, and for the signal handlers that interrupt it: one instruction, without the lock. */
NOTIFIER_INLINE_ int notifier_ring_exchange_(volatile uintptr_t *p, uintptr_t from, uintptr_t to, int local) {
#ifdef NOTIFIER_RING_LOCAL_
  if (local) {
    uintptr_t was = from;
#if defined(__x86_64__)
    __asm__ __volatile__("cmpxchg{ %2, %1| %1, %2}" : "+a"(was), "+m"(*p) : "r"(to) : "memory", "cc");
#else
    (void)__atomic_compare_exchange_n(p, &was, to, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    notifier_ring_local_fence_();
#endif
    return was == from;
  }
#endif
  (void)local;
  return notifier_ring_cas_(p, from, to);
}

/* Inlined, so that the length of a record is a constant where it is copied: GCC makes something slow of a memcpy of a few
   lengths. */
#if defined(__GNUC__) || defined(__clang__)
#define NOTIFIER_RING_INLINE_ NOTIFIER_INLINE_ __attribute__((__always_inline__))
#else
#define NOTIFIER_RING_INLINE_ NOTIFIER_INLINE_
#endif

#define NOTIFIER_RING_WORD_(control, offset) ((volatile uint32_t *)(void *)((control) + (offset)))
#define NOTIFIER_RING_NATIVE_(control, offset) ((volatile uintptr_t *)(void *)((control) + (offset)))

NOTIFIER_INLINE_ char *notifier_ring_control_(notifier_ring r) {
  return (char *)(uintptr_t)(r >> NOTIFIER_RING_GENERATION_BITS << NOTIFIER_RING_BASE_SHIFT);
}

NOTIFIER_INLINE_ uint32_t notifier_ring_generation_(notifier_ring r) {
  return (uint32_t)r & (((uint32_t)1 << NOTIFIER_RING_GENERATION_BITS) - 1);
}

/* NOTIFIER_OK, or why this is no ring of this process. */
NOTIFIER_RING_INLINE_ int notifier_ring_mine_(char *control) {
  return notifier_mine_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_ABI), NOTIFIER_RING_ABI,
                        NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_PID));
}

/* ---- the steps ---- */

/* Wakes a reader who sleeps, as w says, if it can use the record with this tag. */
NOTIFIER_SELDOM_ int notifier_ring_rouse_(char *control, uint32_t tag, uint32_t w) {
  volatile uint32_t *wanted = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_WANTED);
  notifier_handle h;
  int code;
  if ((w & NOTIFIER_RING_HEAD_ONLY) &&
      ((uint32_t)notifier_ring_load_(NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_CONSUMER)) ^
       NOTIFIER_RING_MAGIC) != tag)
    return NOTIFIER_COALESCED;

  /* Notify first, and only then say that nobody else needs to: who dies in between leaves it to the next. Who comes in the
     time of another ring may find no handle there yet, or half of one, which names nothing. */
  h = (notifier_handle)notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_NOTIFIER)) |
      (notifier_handle)notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_NOTIFIER + 4)) << 32;
  code = notifier_notify(h);
  if (code < 0) return code == NOTIFIER_FAILED ? code : NOTIFIER_OK; /* and w is for others, or for nobody */
  notifier_cas_(wanted, w, w & ~NOTIFIER_RING_WANTED);
  return code == NOTIFIER_COALESCED ? code : NOTIFIER_OK;
}

/* What follows a record's final state, which has this tag. */
NOTIFIER_RING_INLINE_ int notifier_ring_wake_(char *control, uint32_t tag) {
  uint32_t w = notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_WANTED));
  if (!(w & NOTIFIER_RING_WANTED)) return NOTIFIER_COALESCED;
  return notifier_ring_rouse_(control, tag, w);
}

/* Step 3: the record gets its final state. In which case the memory is the reader's from then on. */
NOTIFIER_RING_INLINE_ int notifier_ring_finish_(notifier_ring r, char *header, uint32_t state) {
  char *control = notifier_ring_control_(r);
  uint32_t tag = notifier_ring_plain_load_(NOTIFIER_RING_WORD_(header, 4));

  /* Shut? Whoever misses that by a hair has committed, and is counted as lost: reap in ring_block.go looks at what is
     written here, and at nothing else. */
  if (notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_GENERATION)) != notifier_ring_generation_(r)) {
    notifier_ring_publish_(NOTIFIER_RING_WORD_(header, 0),
                           NOTIFIER_RING_DROPPED | (state & NOTIFIER_RING_LENGTH_MASK));
    return NOTIFIER_CLOSED;
  }
  notifier_ring_publish_(NOTIFIER_RING_WORD_(header, 0), state);

  /* No fence is needed between the two: that one is in reserve. See "wanted" in ring.go. */
  return notifier_ring_wake_(control, tag);
}

/* Step 1: takes room for len bytes. On NOTIFIER_OK they are at *rec, 8-byte aligned and zero, and nobody else's until
 * notifier_ring_commit or notifier_ring_discard: do one of them soon, since the reader stops at this record.
 * Otherwise *rec is left alone: NOTIFIER_FULL, NOTIFIER_TOO_LARGE (both are counted as lost), NOTIFIER_CLOSED,
 * NOTIFIER_INVALID. */
NOTIFIER_RING_INLINE_ int notifier_ring_reserve(notifier_ring r, size_t len, void **rec) {
  char *control = notifier_ring_control_(r), *data, *header;
  uint32_t generation = notifier_ring_generation_(r);
  volatile uintptr_t *position = NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_POSITION);
  uintptr_t p, size, used, offset, span, pad;
  int code;
#ifdef NOTIFIER_RING_LOCAL_
  volatile uint32_t *entered = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_ENTERED);
  uint32_t before = 0;
#endif
  int local = 0;

  if (!control || !generation) return NOTIFIER_INVALID;
  code = notifier_ring_mine_(control);
  if (code != NOTIFIER_OK) return code;

#ifdef NOTIFIER_RING_LOCAL_
  if (notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_FLAGS)) & NOTIFIER_RING_SINGLE) {
    /* entered is stored and then the generation looked at; Close stores the generation, has its membarrier, and then looks at
       entered (shut and reap in ring_block.go). A handler leaves it as it was. */
    local = 1;
    before = notifier_ring_plain_load_(entered);
    notifier_ring_plain_store_(entered, 1);
    notifier_ring_local_fence_();
  }
#endif

  for (;;) {
    /* The position is read first and exchanged last. It never has the same value in the time of two rings, so that all that
       is read in between is of one ring if the exchange succeeds. */
    p = notifier_ring_load_(position);
    code = NOTIFIER_CLOSED; /* or somebody wrote over the position, which is a multiple of 8 */
    if (notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_GENERATION)) != generation ||
        (p & NOTIFIER_RING_POSITION_MASK))
      goto out;
    size = notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_SIZE));
    if (len > notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_MAX))) {
      /* For this ring, if p is still the position. */
      if (notifier_ring_load_(position) != p) continue;
      code = NOTIFIER_TOO_LARGE;
      goto lost;
    }
    data = (char *)notifier_ring_load_(NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_DATA));
    offset = p & (size - 1);
    span = NOTIFIER_RING_HEADER_SIZE + (((uintptr_t)len + 7) & ~(uintptr_t)7);
    pad = 0;
    if (offset + span > size &&
        !(notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_FLAGS)) & NOTIFIER_RING_MIRRORED))
      pad = size - offset;

    /* The reader zeroed the memory before it gave it back with this word. */
    used = p - notifier_ring_load_(NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_CONSUMER));
    if (used > size || pad + span > size - used) {
      /* Full, if p is still the position: otherwise the two do not belong together. */
      if (notifier_ring_load_(position) != p) continue;
      code = NOTIFIER_FULL;
      goto lost;
    }
    if (notifier_ring_exchange_(position, p, p + pad + span, local)) break;
  }

  /* The reader stores wanted and then looks at the position (settle in ring.go); here the position is stored and then, at
     the commit, wanted looked at. All four are sequentially consistent, so that one sees the other. On x86 the exchange is a
     full fence already; elsewhere it costs little not to depend on two compilers' agreement. If local, the fence is settle's
     membarrier. */
#if !(defined(__x86_64__) || defined(__i386__))
  if (!local) notifier_fence_();
#endif

  header = data + offset;
  if (pad) {
#ifndef _WIN32 /* where a thread's first use of it allocates */
    int saved = errno;
#endif
    notifier_ring_plain_store_(NOTIFIER_RING_WORD_(header, 4), (uint32_t)p ^ NOTIFIER_RING_MAGIC);
    notifier_ring_publish_(NOTIFIER_RING_WORD_(header, 0),
                           NOTIFIER_RING_DROPPED | (uint32_t)(pad - NOTIFIER_RING_HEADER_SIZE));
    /* The reader may be asleep at the padding, waiting for just this. If the doorbell fails, it
       looks by itself after a moment. */
    (void)notifier_ring_wake_(control, (uint32_t)p ^ NOTIFIER_RING_MAGIC);
#ifndef _WIN32
    errno = saved;
#endif
    p += pad;
    header = data;
  }
  notifier_ring_plain_store_(NOTIFIER_RING_WORD_(header, 4), (uint32_t)p ^ NOTIFIER_RING_MAGIC);
  notifier_ring_plain_store_(NOTIFIER_RING_WORD_(header, 0), NOTIFIER_RING_BUSY | (uint32_t)len);
  *rec = header + NOTIFIER_RING_HEADER_SIZE;
  code = NOTIFIER_OK;
  goto out;

lost:
  notifier_ring_count_(NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_LOST));
out:
#ifdef NOTIFIER_RING_LOCAL_
  if (local) notifier_ring_publish_(entered, before);
#endif
  return code;
}

NOTIFIER_INLINE_ int notifier_ring_end_(notifier_ring r, void *rec, uint32_t state) {
  char *control = notifier_ring_control_(r), *header = (char *)rec - NOTIFIER_RING_HEADER_SIZE;
  uint32_t now;
  int code;
  if (!control || !rec) return NOTIFIER_INVALID;
  code = notifier_ring_mine_(control); /* in a forked child the data may not be there */
  if (code != NOTIFIER_OK) return code;
  now = notifier_ring_plain_load_(NOTIFIER_RING_WORD_(header, 0));
  if ((now & NOTIFIER_RING_STATE_MASK) != NOTIFIER_RING_BUSY) return NOTIFIER_INVALID;
  return notifier_ring_finish_(r, header, state | (now & NOTIFIER_RING_LENGTH_MASK));
}

/* Hands a reserved record to the reader. rec is invalid afterwards, whatever is returned:
 *   NOTIFIER_OK          it will be read, and a wake-up is on its way
 *   NOTIFIER_COALESCED   it will be read, and there was no need to wake anyone
 *   NOTIFIER_FAILED      it is in the ring, but the doorbell failed, and errno says why; the next commit tries again, or, if
 *                        the reader waits for just this record, the reader after a moment
 *   NOTIFIER_CLOSED      the ring was closed after the reservation
 *   NOTIFIER_INVALID     rec is not reserved */
NOTIFIER_INLINE_ int notifier_ring_commit(notifier_ring r, void *rec) {
  return notifier_ring_end_(r, rec, NOTIFIER_RING_READY);
}

/* Gives a reserved record up: the reader skips it. Returns what notifier_ring_commit does. */
NOTIFIER_INLINE_ int notifier_ring_discard(notifier_ring r, void *rec) {
  return notifier_ring_end_(r, rec, NOTIFIER_RING_DROPPED);
}

/* Reserves, copies len bytes and commits. Returns what notifier_ring_reserve or notifier_ring_commit does: below 0 the
 * record will not be read, but for NOTIFIER_FAILED. data may be NULL if len is 0. */
NOTIFIER_RING_INLINE_ int notifier_ring_push(notifier_ring r, const void *data, size_t len) {
  void *rec = NULL;
  int code = notifier_ring_reserve(r, len, &rec);
  if (code != NOTIFIER_OK) return code;
  if (len) memcpy(rec, data, len);
  return notifier_ring_finish_(r, (char *)rec - NOTIFIER_RING_HEADER_SIZE, NOTIFIER_RING_READY | (uint32_t)len);
}

#ifdef __cplusplus
}
#endif

#endif /* NOTIFIER_RING_H */
