/* ring.h: hand records to a goroutine from any thread, signal handler or language.
 *
 * MIT License. Part of github.com/wakechan/wakechan; header-only, C11 or C++17, needs notifier.h beside it and no library.
 *
 *     r, err := ring.New(1 << 16)   // Go
 *     h, err := r.Handle()
 *     C.start_engine(C.uint64_t(h))
 *     for r.Wait(ctx) == nil { for rec := range r.Records() { use(rec) } }   // until ctx or the ring ends
 *
 *     notifier_ring_push(h, &sample, sizeof sample);   // the engine, on whatever thread
 *
 * This file is also the document of the ABI: what stands here in C can be written in any language that has sequentially
 * consistent atomics of 32 bits and of the size of a pointer (see examples/rustring for Rust).
 *
 * WHAT IT PROMISES
 *   - Records of any length up to the ring's maximum, from any number of producers, reach the one reader in the order of
 *     reservation, so each producer's in its order; each once, or it is counted as lost.
 *   - A producer never waits: a full ring gives NOTIFIER_FULL. Nothing is overwritten. A thread that may wait calls
 *     notifier_ring_try, and after NOTIFIER_FULL notifier_ring_wait, which sleeps in the kernel until the reader has given
 *     memory back. What follows is not said of notifier_ring_wait.
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
 *   64 bits:  base >> 12 (36)  |  generation (28, even, never 0)
 *   base is the address of the control block: a multiple of 4096, at least 2^32 and below 2^47 where a pointer has 64 bits,
 *   never unmapped. Another ring may get it later: with another generation.
 *   What can be told of a number that is no ring's is as for notifier.h's handles, but that bit 0 is clear: the call gives
 *   NOTIFIER_INVALID. NOTIFIER_DEBUG works as there.
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
 *      268  waiting      word: bit 0: some producer waits for room; the rest, a multiple of 8: how many bytes are kept for
 *                        the owner, which notifier_ring_try leaves free
 *      272  given        word, odd: has another value after each time that waiting producers are woken; they sleep on it
 *      276  queue        word: the ticket of the next producer that has to wait
 *      280  turn         word: who has this ticket, or an older one, may own what is kept; grows as they leave, never past queue
 *      284  owner        word: the producer for which that is kept: odd, a thread; even, a goroutine; 0: nobody
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

#ifndef _WIN32
#ifndef __linux__
#include <poll.h>
#endif
#include <sched.h>
#endif

#include "notifier.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t notifier_ring; /* pass it through a void *: on 64-bit systems it fits */

#define NOTIFIER_RING_ABI 1

/* Beside the codes of notifier.h: */
#define NOTIFIER_FULL (-4)      /* no room: counted as lost */
#define NOTIFIER_TOO_LARGE (-5) /* longer than any record can be: counted as lost */
#define NOTIFIER_TIMEOUT (-6)   /* notifier_ring_wait: there was no room in all the time */

/* The layout. abi_test.go compares these with the Go half. */
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
#define NOTIFIER_RING_OFFSET_WAITING 268
#define NOTIFIER_RING_OFFSET_GIVEN 272
#define NOTIFIER_RING_OFFSET_QUEUE 276
#define NOTIFIER_RING_OFFSET_TURN 280
#define NOTIFIER_RING_OFFSET_OWNER 284
#define NOTIFIER_RING_OFFSET_LOST 384
#define NOTIFIER_RING_CONTROL_SIZE 512

#define NOTIFIER_RING_MIRRORED 1u /* flags */
#define NOTIFIER_RING_SINGLE 2u

#define NOTIFIER_RING_CLOSED_BIT 1u    /* position */
#define NOTIFIER_RING_POSITION_MASK 7u /* all of these are clear in an open ring's */

#define NOTIFIER_RING_WANTED 1u /* wanted */
#define NOTIFIER_RING_HEAD_ONLY 2u

#define NOTIFIER_RING_ASKED 1u /* waiting */
#define NOTIFIER_RING_KEPT_MASK 0xfffffff8u

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
static __inline int notifier_ring_swap_(volatile uint32_t *p, uint32_t from, uint32_t to) {
  return (uint32_t)_InterlockedCompareExchange((volatile long *)p, (long)to, (long)from) == from;
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
NOTIFIER_INLINE_ int notifier_ring_swap_(volatile uint32_t *p, uint32_t from, uint32_t to) {
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
NOTIFIER_RING_INLINE_ int notifier_ring_mine_(notifier_ring r) {
  char *control = notifier_ring_control_(r);
#ifdef NOTIFIER_DEBUG
  if (!notifier_debug_("a call of ring.h", r, 0, control, NOTIFIER_RING_MAGIC)) return NOTIFIER_INVALID;
#endif
  if (!notifier_number_(r, 0) || !notifier_ring_generation_(r)) return NOTIFIER_INVALID;
  return notifier_mine_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_MAGIC), NOTIFIER_RING_MAGIC, NOTIFIER_RING_ABI,
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

  /* Shut? Whoever misses that by a hair has committed, and is counted as lost: reap in block.go looks at what is
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

/* ---- whose turn it is: see room.go ---- */

/* A name for the calling thread, odd, that two threads seldom share: then one may use what is kept for the other. */
NOTIFIER_INLINE_ uint32_t notifier_ring_self_(void) {
#ifdef _WIN32 /* where errno may allocate */
  return (uint32_t)GetCurrentThreadId() | 1;
#else
  return (uint32_t)((uint64_t)(uintptr_t)&errno * 0x9e3779b97f4a7c15u >> 32) | 1;
#endif
}

/* Nothing is kept for self any more, if it was. */
NOTIFIER_SELDOM_ void notifier_ring_release_(char *control, uint32_t self) {
  volatile uint32_t *waiting = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_WAITING);
  volatile uint32_t *owner = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_OWNER);
  uint32_t w;
  if (notifier_load_(owner) != self) return;
  do w = notifier_load_(waiting);
  while ((w & NOTIFIER_RING_KEPT_MASK) && !notifier_ring_swap_(waiting, w, w & ~NOTIFIER_RING_KEPT_MASK));
  (void)notifier_cas_(owner, self, 0); /* last: the next owner keeps its own */
}

/* Step 1: takes room for len bytes. patient: the caller can come again, so a refusal loses nothing, and what is kept for a
   producer that waits is left to it. Not in an empty ring: that producer may be dead. */
NOTIFIER_RING_INLINE_ int notifier_ring_take_(notifier_ring r, size_t len, void **rec, int patient) {
  char *control = notifier_ring_control_(r), *data, *header;
  uint32_t generation = notifier_ring_generation_(r), owner = 0;
  volatile uintptr_t *position = NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_POSITION);
  uintptr_t p, size, used, offset, span, pad, kept;
  int code;
#ifdef NOTIFIER_RING_LOCAL_
  volatile uint32_t *entered = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_ENTERED);
  uint32_t before = 0;
#endif
  int local = 0;

  code = notifier_ring_mine_(r);
  if (code != NOTIFIER_OK) return code;

#ifdef NOTIFIER_RING_LOCAL_
  if (notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_FLAGS)) & NOTIFIER_RING_SINGLE) {
    /* entered is stored and then the generation looked at; Close stores the generation, has its membarrier, and then looks at
       entered (shut and reap in block.go). A handler leaves it as it was. */
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
    kept = 0;
    if (patient) {
      owner = notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_OWNER));
      if (owner && owner != notifier_ring_self_()) {
        owner = 0;
        if (used)
          kept = notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_WAITING)) & NOTIFIER_RING_KEPT_MASK;
      }
    }
    if (used > size || pad + span > size - used || kept > size - used - pad - span) {
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

  if (owner) notifier_ring_release_(control, owner); /* it has what was kept for it */
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
  if (!patient) notifier_ring_count_(NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_LOST));
out:
#ifdef NOTIFIER_RING_LOCAL_
  if (local) notifier_ring_publish_(entered, before);
#endif
  return code;
}

/* Takes room for len bytes. On NOTIFIER_OK they are at *rec, 8-byte aligned and zero, and nobody else's until
 * notifier_ring_commit or notifier_ring_discard: do one of them soon, since the reader stops at this record.
 * Otherwise *rec is left alone: NOTIFIER_FULL, NOTIFIER_TOO_LARGE (both are counted as lost), NOTIFIER_CLOSED,
 * NOTIFIER_INVALID. */
NOTIFIER_RING_INLINE_ int notifier_ring_reserve(notifier_ring r, size_t len, void **rec) {
  return notifier_ring_take_(r, len, rec, 0);
}

NOTIFIER_INLINE_ int notifier_ring_end_(notifier_ring r, void *rec, uint32_t state) {
  char *header = (char *)rec - NOTIFIER_RING_HEADER_SIZE;
  uint32_t now;
  int code;
  if (!rec) return NOTIFIER_INVALID;
  code = notifier_ring_mine_(r); /* in a forked child the data may not be there */
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

NOTIFIER_RING_INLINE_ int notifier_ring_copy_(notifier_ring r, const void *data, size_t len, int patient) {
  void *rec = NULL;
  int code = notifier_ring_take_(r, len, &rec, patient);
  if (code != NOTIFIER_OK) return code;
  if (len) memcpy(rec, data, len);
  return notifier_ring_finish_(r, (char *)rec - NOTIFIER_RING_HEADER_SIZE, NOTIFIER_RING_READY | (uint32_t)len);
}

/* Reserves, copies len bytes and commits. Returns what notifier_ring_reserve or notifier_ring_commit does: below 0 the
 * record will not be read, but for NOTIFIER_FAILED. data may be NULL if len is 0. */
NOTIFIER_RING_INLINE_ int notifier_ring_push(notifier_ring r, const void *data, size_t len) {
  return notifier_ring_copy_(r, data, len, 0);
}

/* As notifier_ring_push, for a producer that comes again: a refusal is not counted as lost. NOTIFIER_FULL also means that
 * what room there is is kept for a producer that has waited for longer. Never waits. */
NOTIFIER_RING_INLINE_ int notifier_ring_try(notifier_ring r, const void *data, size_t len) {
  return notifier_ring_copy_(r, data, len, 1);
}

/* ---- waiting for room ---- */

/* Whether self may take room for len bytes: NOTIFIER_OK; NOTIFIER_FULL: not yet; or why it never may. queued: it has a ticket,
   and goes when that has its turn, as the owner. *idle: there is room, also for what is kept. */
NOTIFIER_SELDOM_ int notifier_ring_room_(char *control, uint32_t generation, size_t len, uint32_t self, int queued, uint32_t ticket,
                                         int *idle) {
  volatile uintptr_t *position = NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_POSITION);
  volatile uint32_t *waiting = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_WAITING);
  volatile uint32_t *owner = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_OWNER);
  uintptr_t p, size, used, span, pad;
  uint32_t max, w, need;
  int full;
  *idle = 0;
  for (;;) {
    p = notifier_ring_load_(position);
    if (notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_GENERATION)) != generation ||
        (p & NOTIFIER_RING_POSITION_MASK))
      return NOTIFIER_CLOSED;
    size = notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_SIZE));
    max = notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_MAX));
    span = NOTIFIER_RING_HEADER_SIZE + (((uintptr_t)len + 7) & ~(uintptr_t)7);
    pad = size - (p & (size - 1));
    if (span <= pad ||
        (notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_FLAGS)) & NOTIFIER_RING_MIRRORED))
      pad = 0;
    used = p - notifier_ring_load_(NOTIFIER_RING_NATIVE_(control, NOTIFIER_RING_OFFSET_CONSUMER));
    if (notifier_ring_load_(position) == p) break; /* all of that is of one ring, and of one moment */
  }
  if (len > max) return NOTIFIER_TOO_LARGE;
  need = (uint32_t)(pad + span);
  full = used > size || need > size - used;
  w = notifier_load_(waiting) & NOTIFIER_RING_KEPT_MASK;
  *idle = !full && (w <= size - used || w > size); /* more than there can be: somebody wrote over it */
  if (queued && (int32_t)(notifier_load_(NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_TURN)) - ticket) >= 0)
    (void)notifier_cas_(owner, 0, self);
  if (notifier_load_(owner) == self) {
    do w = notifier_load_(waiting);
    while ((w & NOTIFIER_RING_KEPT_MASK) < need && !notifier_ring_swap_(waiting, w, need | (w & NOTIFIER_RING_ASKED)));
    return full ? NOTIFIER_FULL : NOTIFIER_OK;
  }
  if (queued || full) return NOTIFIER_FULL;
  return !used || (notifier_load_(waiting) & NOTIFIER_RING_KEPT_MASK) <= size - used - need ? NOTIFIER_OK : NOTIFIER_FULL;
}

#if defined(_WIN32)

/* WaitOnAddress is in no library that every program links; Windows has it since 8. */
typedef BOOL(WINAPI *notifier_ring_wait_on_)(volatile VOID *, PVOID, SIZE_T, DWORD);

NOTIFIER_INLINE_ uint64_t notifier_ring_clock_(void) { return GetTickCount64(); }

/* Sleeps while *p is v, until the time is end ms, or 0: for ever. May return early. 0, or the error. */
NOTIFIER_INLINE_ int notifier_ring_sleep_(volatile uint32_t *p, uint32_t v, uint64_t end) {
  HMODULE module = GetModuleHandleA("kernelbase.dll");
  void (*function)(void) = module ? (void (*)(void))GetProcAddress(module, "WaitOnAddress") : NULL;
  uint64_t now = notifier_ring_clock_(), left = !end ? INFINITE : end > now ? end - now : 0;
  if (left > 1000) left = 1000;
  if (function)
    (void)((notifier_ring_wait_on_)function)(p, &v, sizeof v, (DWORD)left);
  else
    Sleep(1);
  return 0;
}

#elif defined(__linux__)

/* As the kernel has it in these two calls, whatever a program's time_t is. */
#ifdef SYS_futex
typedef long notifier_ring_long_;
#define notifier_ring_futex_(p, op, v, t) syscall(SYS_futex, p, op, v, t, NULL, 0xffffffffu)
#define notifier_ring_now_(t) syscall(SYS_clock_gettime, 1, t)
#else
typedef int64_t notifier_ring_long_;
#define notifier_ring_futex_(p, op, v, t) syscall(SYS_futex_time64, p, op, v, t, NULL, 0xffffffffu)
#define notifier_ring_now_(t) syscall(SYS_clock_gettime64, 1, t)
#endif

typedef struct {
  notifier_ring_long_ seconds, nanoseconds;
} notifier_ring_time_;

/* In ms, by CLOCK_MONOTONIC. */
NOTIFIER_INLINE_ uint64_t notifier_ring_clock_(void) {
  notifier_ring_time_ t = {0, 0};
  (void)notifier_ring_now_(&t);
  return (uint64_t)t.seconds * 1000 + (uint64_t)(t.nanoseconds + 999999) / 1000000;
}

NOTIFIER_INLINE_ int notifier_ring_sleep_(volatile uint32_t *p, uint32_t v, uint64_t end) {
  notifier_ring_time_ t;
  t.seconds = (notifier_ring_long_)(end / 1000);
  t.nanoseconds = (notifier_ring_long_)(end % 1000) * 1000000;
  /* FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, whose time is absolute */
  if (notifier_ring_futex_(p, 9 | 128, v, end ? &t : NULL) < 0 && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
    return errno;
  return 0;
}

#else

/* Elsewhere it looks each millisecond, and the clock is how often it looked: a millisecond that a signal ends (EINTR) does not
   count. poll(2) is a cancellation point. */
NOTIFIER_INLINE_ int notifier_ring_sleep_(volatile uint32_t *p, uint32_t v, uint64_t end) {
  (void)end;
  while (poll(NULL, 0, 1) < 0 && errno == EINTR && notifier_load_(p) == v) {
  }
  return 0;
}

#define NOTIFIER_RING_TICKS_ 1
#endif

/* The longest sleep of a producer in the queue, in ms, and how long it sees nobody use what there is until it takes them for
   dead who should. */
#ifndef NOTIFIER_RING_PATIENCE_ /* tests, in which nobody dies, have it longer */
#define NOTIFIER_RING_PATIENCE_ 100
#endif

/* How often a producer looks for room, and lets other threads run, until it goes to sleep. A reader that keeps up makes room
   in some microseconds; to sleep takes longer, above all if the processor sleeps too. */
#ifndef NOTIFIER_RING_LOOKS_
#define NOTIFIER_RING_LOOKS_ 10
#endif

NOTIFIER_INLINE_ void notifier_ring_yield_(void) {
#ifdef _WIN32
  (void)SwitchToThread();
#else
  (void)sched_yield();
#endif
}

/* Waits until there is room for a record of len bytes, for timeout_ms milliseconds at most, or as long as it takes if that
 * is below 0. It reserves nothing, but if it had to wait, that room is kept for this thread, which must call notifier_ring_try
 * next. Call it in a loop with that:
 *
 *     while ((code = notifier_ring_try(r, p, n)) == NOTIFIER_FULL && (code = notifier_ring_wait(r, n, -1)) == NOTIFIER_OK) {}
 *
 *   NOTIFIER_OK         there is room
 *   NOTIFIER_TIMEOUT    there was none in that time
 *   NOTIFIER_TOO_LARGE  there never will be; not counted as lost
 *   NOTIFIER_CLOSED     the ring was closed or finished, or its poller ended, before the call or in it; or this is a forked
 *                       child
 *   NOTIFIER_INVALID    r is no ring's number
 *   NOTIFIER_FAILED     the system refuses to let it wait; errno says why
 *
 * Those who wait get room in the order in which they came, here and in PushWait of Go. A call whose time is over loses its
 * place.
 *
 * Not for signal handlers, nor for threads that must not wait. It looks a few times, and then sleeps in the kernel: by futex(2)
 * on Linux and WaitOnAddress on Windows; elsewhere it looks every millisecond. errno is kept unless it returns NOTIFIER_FAILED. A thread
 * that dies or is cancelled in it, or before its notifier_ring_try, holds up those behind it for 0.1 s. */
NOTIFIER_SELDOM_ int notifier_ring_wait(notifier_ring r, size_t len, int timeout_ms) {
  char *control = notifier_ring_control_(r);
  uint32_t generation = notifier_ring_generation_(r), self = notifier_ring_self_(), ticket = 0, w, now_turn, now_owner;
  uint32_t seen_turn = 0, seen_owner = 0;
  volatile uint32_t *waiting = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_WAITING);
  volatile uint32_t *given = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_GIVEN);
  volatile uint32_t *queue = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_QUEUE);
  volatile uint32_t *turn = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_TURN);
  volatile uint32_t *owner = NOTIFIER_RING_WORD_(control, NOTIFIER_RING_OFFSET_OWNER);
  uint64_t now = 1, end = 0, since = 0, until;
  int code = notifier_ring_mine_(r), err, queued = 0, idle, looks = 0;
#ifndef _WIN32
  int saved = errno;
#endif
  if (code != NOTIFIER_OK) return code;
  for (;;) {
    /* given is read first: whoever gives memory back after the look changes it, and the sleep is none. */
    uint32_t before = notifier_load_(given);
    code = notifier_ring_room_(control, generation, len, self, queued, ticket, &idle);
    if (code != NOTIFIER_FULL) break;
    if (!queued) {
      do ticket = notifier_load_(queue);
      while (!notifier_ring_swap_(queue, ticket, ticket + 1));
      queued = 1;
    }

#ifndef NOTIFIER_RING_TICKS_
    now = notifier_ring_clock_();
#endif
    if (timeout_ms >= 0) {
      if (!end) end = now + (uint64_t)timeout_ms;
      if (now >= end) {
        code = NOTIFIER_TIMEOUT;
        break;
      }
    }
    if (looks < NOTIFIER_RING_LOOKS_) {
      looks++;
      notifier_ring_yield_();
      continue;
    }

    /* The word is stored and then consumer, turn and owner looked at; the reader stores consumer and then looks at the word
       (publish in reader.go). Who leaves the queue has a record, and has stored the other two before that is there to read. */
    do w = notifier_load_(waiting);
    while (!(w & NOTIFIER_RING_ASKED) && !notifier_ring_swap_(waiting, w, w | NOTIFIER_RING_ASKED));
    code = notifier_ring_room_(control, generation, len, self, queued, ticket, &idle);
    if (code != NOTIFIER_FULL) break;

    /* There has been room for so long, and nobody else has moved: whose turn it is is dead, or gone. */
    now_turn = notifier_load_(turn);
    now_owner = notifier_load_(owner);
    if (!idle || !since || now_turn != seen_turn || now_owner != seen_owner) {
      since = idle ? now : 0;
      seen_turn = now_turn;
      seen_owner = now_owner;
    } else if (now - since >= NOTIFIER_RING_PATIENCE_) {
      notifier_ring_release_(control, seen_owner);
      w = notifier_load_(queue); /* far away: somebody wrote over these */
      (void)notifier_cas_(turn, seen_turn, w - seen_turn < 0x10000 ? seen_turn + (w != seen_turn) : w);
      since = 0;
      continue;
    }
    /* If there is room, it is a matter of moments. A thread that has its record wakes nobody, and the reader may be busy. */
    until = now + (idle ? 1 : NOTIFIER_RING_PATIENCE_);
    if (end && end < until) until = end;
    err = notifier_ring_sleep_(given, before, until);
#ifdef NOTIFIER_RING_TICKS_
    now++;
#endif
    if (err) {
#ifndef _WIN32
      saved = err;
#endif
      code = NOTIFIER_FAILED;
      break;
    }
  }
  if (code != NOTIFIER_OK) notifier_ring_release_(control, self);
  if (queued && code != NOTIFIER_CLOSED) { /* then these are another ring's, or nobody's */
    do w = notifier_load_(turn);
    while (w != notifier_load_(queue) && !notifier_ring_swap_(turn, w, w + 1));
  }
#ifndef _WIN32
  errno = saved;
#endif
  return code;
}

/* ======== Out: records from Go to a thread that must not wait ========
 *
 *     o, err := ring.NewOut(1 << 16)   // Go
 *     h, err := o.Handle()
 *     C.start_audio(C.uint64_t(h))
 *     err = o.WriteWait(ctx, block)
 *
 *     n = notifier_out_read(o, block, sizeof block);   // the audio callback: 0, and it plays silence
 *
 * WHAT IT PROMISES
 *   - The reader gets whole records, each once, in the order in which Go wrote them. What Go did before Write is visible to
 *     who reads the record.
 *   - All three calls are wait-free for the one reader that an Out has at a time. They take no lock, allocate nothing, never
 *     enter the Go runtime, keep errno and are no cancellation points. They make no system call; only where a forked child
 *     cannot be made to see zeros, they call getpid. Their loop repeats only after a signal handler, or another thread, took
 *     a record in between.
 *   - A signal handler may call notifier_out_read, whatever it interrupts. Several threads may call it as well: each record
 *     goes to one of them.
 *   - Peek and done belong to one thread at a time. From peek to done the record stays as it is, and notifier_out_read gives 0.
 *   - A thread that dies, is cancelled or jumps away in a call harms nobody: the record was read, or the next reader gets it.
 *     If that happens between peek and done, the next to peek gets the record again. In both cases the memory of the Out stays
 *     after Close.
 *   - A number is harmless for ever. After Close, in a forked child, and for a number that names a ring, a notifier or nothing,
 *     every call gives 0. What peek returned stays valid until done, also after Close. Do not carry it into a forked child.
 *
 * THE NUMBER is made like a ring's, and so is the control block: never unmapped, and another Out may get it later. NOTIFIER_DEBUG
 * works as for a ring.
 *
 * AN OUT'S CONTROL BLOCK (offsets in bytes)
 *        0  magic        word: NOTIFIER_OUT_MAGIC
 *        4  abi          word: NOTIFIER_OUT_ABI; 0 in a forked child that sees zeros
 *        8  generation   word: the present Out's
 *       16  size         word: bytes of data, a power of two
 *       20  max          word: longest record
 *       32  data         native: address of the data, a multiple of 8
 *       40  pid          word: the process that may read, where a forked child has a copy of this; 0: it sees zeros
 *      128  position     native: how far Go has written, in bytes since the beginning, a multiple of 8; wraps round
 *      256  consumer     native: how far it was read, counted in the same way; bit 0: the Out is closed
 *      264  held         native: the position that was peeked at, plus 1; or 0
 *      272  inside       word: how many calls use the data at the moment
 *
 * AN OUT'S DATA: a record at position p has its header at data + p % size, and its bytes behind it, padded to a multiple of 8.
 * Where a record would run over the end, padding fills what is left.
 *        0  length       word: in bytes, never 0; or NOTIFIER_OUT_PADDING plus the length
 *        4  tag          word: low half of the record's position ^ NOTIFIER_OUT_MAGIC
 *
 * TO READ: as below. consumer is the lock of all that is read before it: it is loaded first and exchanged last, and a value
 * never comes again (on 32-bit systems after 4 GiB), so that what was read in between is of one Out and was not overwritten.
 * The writer's half is out.go.
 */

typedef uint64_t notifier_out; /* pass it through a void *: on 64-bit systems it fits */

#define NOTIFIER_OUT_ABI 1
#define NOTIFIER_OUT_MAGIC 0x2074756fu
#define NOTIFIER_OUT_OFFSET_MAGIC 0
#define NOTIFIER_OUT_OFFSET_ABI 4
#define NOTIFIER_OUT_OFFSET_GENERATION 8
#define NOTIFIER_OUT_OFFSET_SIZE 16
#define NOTIFIER_OUT_OFFSET_MAX 20
#define NOTIFIER_OUT_OFFSET_DATA 32
#define NOTIFIER_OUT_OFFSET_PID 40
#define NOTIFIER_OUT_OFFSET_POSITION 128
#define NOTIFIER_OUT_OFFSET_CONSUMER 256
#define NOTIFIER_OUT_OFFSET_HELD 264
#define NOTIFIER_OUT_OFFSET_INSIDE 272
#define NOTIFIER_OUT_CONTROL_SIZE 384

#define NOTIFIER_OUT_HEADER_SIZE 8
#define NOTIFIER_OUT_PADDING 0x80000000u
#define NOTIFIER_OUT_CLOSED_BIT 1u    /* consumer */
#define NOTIFIER_OUT_POSITION_MASK 7u /* all of these are clear in an open Out's */

#define NOTIFIER_OUT_WORD_(control, offset) ((volatile uint32_t *)(void *)((control) + (offset)))
#define NOTIFIER_OUT_NATIVE_(control, offset) ((volatile uintptr_t *)(void *)((control) + (offset)))

/* Close makes consumer odd and then looks at inside; here inside is written and then consumer looked at. */
NOTIFIER_INLINE_ void notifier_out_enter_(char *control) {
#if defined(_MSC_VER) && !defined(__clang__)
  (void)_InterlockedIncrement((volatile long *)NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_INSIDE));
#else
  (void)__atomic_fetch_add(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_INSIDE), 1, __ATOMIC_SEQ_CST);
#endif
#if !(defined(__x86_64__) || defined(__i386__))
  notifier_fence_();
#endif
}

NOTIFIER_INLINE_ void notifier_out_leave_(char *control) {
#if defined(_MSC_VER) && !defined(__clang__)
  (void)_InterlockedDecrement((volatile long *)NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_INSIDE));
#else
  (void)__atomic_fetch_sub(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_INSIDE), 1, __ATOMIC_SEQ_CST);
#endif
}

/* Go may write over a record while it is copied, if somebody else took it meanwhile: then the copy is thrown away. In
   ThreadSanitizer's eyes only atomic accesses may do that. */
NOTIFIER_INLINE_ void notifier_out_copy_(void *to, const char *from, size_t n) {
#ifdef NOTIFIER_TSAN_
  size_t i;
  for (i = 0; i < n; i++) ((char *)to)[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
#else
  memcpy(to, from, n);
#endif
}

/* The control block that o names; NULL if it names none of this process. Its generation may be another. */
NOTIFIER_INLINE_ char *notifier_out_control_(notifier_out o) {
  char *control = notifier_ring_control_(o);
#ifdef NOTIFIER_DEBUG
  if (!notifier_debug_("a call of an Out's in ring.h", o, 0, control, NOTIFIER_OUT_MAGIC)) return NULL;
#endif
  if (!notifier_number_(o, 0) || !notifier_ring_generation_(o)) return NULL;
  return notifier_mine_(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_MAGIC), NOTIFIER_OUT_MAGIC, NOTIFIER_OUT_ABI,
                        NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_PID)) == NOTIFIER_OK
             ? control
             : NULL;
}

/* Whether there may be a record. The data is not touched for it. */
NOTIFIER_INLINE_ int notifier_out_any_(notifier_out o, char *control) {
  return notifier_load_(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_GENERATION)) == notifier_ring_generation_(o) &&
         notifier_ring_load_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_CONSUMER)) !=
             notifier_ring_load_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_POSITION));
}

/* The oldest record: its header, length and position. 0: there is none, or somebody wrote over the memory. The caller has
   entered. */
NOTIFIER_INLINE_ uint32_t notifier_out_look_(notifier_out o, char *control, char **header, uintptr_t *position) {
  volatile uintptr_t *consumer = NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_CONSUMER);
  for (;;) {
    uintptr_t p = notifier_ring_load_(consumer), size, rest;
    uint32_t n, tag, max;
    char *h;
    if (notifier_load_(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_GENERATION)) != notifier_ring_generation_(o) ||
        (p & NOTIFIER_OUT_POSITION_MASK) ||
        notifier_ring_load_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_POSITION)) == p)
      return 0;
    size = notifier_load_(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_SIZE));
    max = notifier_load_(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_MAX));
    h = (char *)notifier_ring_load_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_DATA)) + (p & (size - 1));
    rest = size - (p & (size - 1)) - NOTIFIER_OUT_HEADER_SIZE;
    n = notifier_load_(NOTIFIER_OUT_WORD_(h, 0));
    tag = notifier_load_(NOTIFIER_OUT_WORD_(h, 4));
    if (notifier_ring_load_(consumer) != p) continue; /* somebody else took it, or Close: these do not belong together */
    if (tag != ((uint32_t)p ^ NOTIFIER_OUT_MAGIC)) return 0;
    if (n & NOTIFIER_OUT_PADDING) {
      if ((n ^ NOTIFIER_OUT_PADDING) != rest) return 0;
      (void)notifier_ring_cas_(consumer, p, p + NOTIFIER_OUT_HEADER_SIZE + rest);
      continue;
    }
    if (!n || n > max || n > rest) return 0;
    *header = h;
    *position = p;
    return n;
  }
}

/* Takes the record of n bytes at p. 0: somebody else has, or the Out was closed. */
NOTIFIER_INLINE_ int notifier_out_take_(char *control, uintptr_t p, uint32_t n) {
  return notifier_ring_cas_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_CONSUMER), p,
                            p + NOTIFIER_OUT_HEADER_SIZE + (((uintptr_t)n + 7) & ~(uintptr_t)7));
}

/* Copies the oldest record to buf and returns its length, which is 1 or more. 0: there is none; buf may have been written to.
 * More than cap: the record is that long, and stays; buf was not written to. So nothing is ever cut off, and cap 0 asks for
 * the length. A reader that cannot take such a record gives it up with notifier_out_peek and notifier_out_done. */
NOTIFIER_INLINE_ size_t notifier_out_read(notifier_out o, void *buf, size_t cap) {
  char *control = notifier_out_control_(o), *header = NULL;
  uintptr_t p = 0;
  size_t got = 0;
  uint32_t n;
  if (!control || !notifier_out_any_(o, control)) return 0;
  notifier_out_enter_(control);
  while ((n = notifier_out_look_(o, control, &header, &p)) != 0) {
    if (notifier_ring_load_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_HELD)) == (p | 1)) break;
    if (n <= cap) {
      notifier_out_copy_(buf, header + NOTIFIER_OUT_HEADER_SIZE, n);
      if (!notifier_out_take_(control, p, n)) continue; /* it may have been overwritten while it was copied */
    }
    got = n;
    break;
  }
  notifier_out_leave_(control);
  return got;
}

/* Has *rec point to the oldest record, 8-byte aligned, and returns its length. It must not be written to, and is valid until
 * notifier_out_done. 0: there is none, and *rec is left alone. A second peek before done gives the same record. */
NOTIFIER_INLINE_ size_t notifier_out_peek(notifier_out o, const void **rec) {
  char *control = notifier_out_control_(o), *header = NULL;
  volatile uintptr_t *held;
  uintptr_t p = 0, was;
  size_t got = 0;
  uint32_t n;
  if (!control || !notifier_out_any_(o, control)) return 0;
  held = NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_HELD);
  notifier_out_enter_(control);
  while ((n = notifier_out_look_(o, control, &header, &p)) != 0) {
    /* held is written and then consumer looked at; a handler's read, and Close, do it the other way round. */
    was = notifier_ring_load_(held);
    if (!notifier_ring_cas_(held, was, p | 1)) continue;
#if !(defined(__x86_64__) || defined(__i386__))
    notifier_fence_();
#endif
    if (notifier_ring_load_(NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_CONSUMER)) == p) {
      *rec = header + NOTIFIER_OUT_HEADER_SIZE;
      got = n;
      break;
    }
    (void)notifier_ring_cas_(held, p | 1, 0);
  }
  notifier_out_leave_(control);
  return got;
}

/* Ends what notifier_out_peek began: its record is read, and its memory is Go's again. Without a peek before it does nothing. */
NOTIFIER_INLINE_ void notifier_out_done(notifier_out o) {
  char *control = notifier_out_control_(o), *header = NULL;
  volatile uintptr_t *held, *consumer;
  uintptr_t p = 0, h;
  uint32_t n, late;
  if (!control) return;
  held = NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_HELD);
  consumer = NOTIFIER_OUT_NATIVE_(control, NOTIFIER_OUT_OFFSET_CONSUMER);
  notifier_out_enter_(control);
  h = notifier_ring_load_(held);
  if (h) {
    n = notifier_out_look_(o, control, &header, &p);
    if (n && h == (p | 1)) {
      (void)notifier_out_take_(control, p, n); /* if it fails, the Out was closed */
      (void)notifier_ring_cas_(held, h, 0);
    } else {
      /* Closed, and nothing came after it: then this is what keeps the memory. */
      p = notifier_ring_load_(consumer);
      late = notifier_load_(NOTIFIER_OUT_WORD_(control, NOTIFIER_OUT_OFFSET_GENERATION)) - notifier_ring_generation_(o);
      if ((p & NOTIFIER_OUT_CLOSED_BIT) && late <= 1 && notifier_ring_load_(consumer) == p)
        (void)notifier_ring_cas_(held, h, 0);
    }
  }
  notifier_out_leave_(control);
}

#ifdef __cplusplus
}
#endif

#endif /* NOTIFIER_RING_H */
