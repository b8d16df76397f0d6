/* notifier.h: wake a goroutine from any thread, signal handler or language.
 *
 * MIT License. Part of github.com/wakechan/wakechan; header-only, C11 or C++17, no library to link.
 *
 *     n := notifier.New()                 // Go
 *     h, err := n.Handle()
 *     C.start_engine(C.uint64_t(h))
 *     <-n.C()
 *
 *     notifier_notify(h);                 // the engine, on whatever thread
 *
 * This file is also the document of the ABI: what stands here in C can be written in any language that has
 * 32-bit sequentially consistent atomics, a full fence, and a way to write to a descriptor.
 *
 * WHAT IT PROMISES
 *   - Notifications coalesce: any number before a receive leave one wake-up. None is lost: each is followed by a
 *     wake-up that comes after it.
 *   - What the caller wrote before the call is visible to the goroutine that wakes up: plain memory if that is in
 *     Notifier.Wait; after a receive from Notifier.C, data behind atomics or a mutex.
 *   - notifier_notify may be called by any number of threads, known to Go or not, by signal handlers, and while Go has
 *     stopped the world. It takes no lock, allocates nothing, never enters the Go runtime, loops only over EINTR, and
 *     keeps errno unless it returns NOTIFIER_FAILED. It is no cancellation point. One thread must not call it: one with
 *     a descriptor table of its own (unshare(CLONE_FILES)), where the number of our descriptor means another file.
 *   - It may be killed, cancelled (pthread_cancel, asynchronously too) or jumped out of at any instruction: only that
 *     very call may be lost, and the next call for the same notifier makes up for it.
 *   - A handle is harmless for ever. After Close it gives NOTIFIER_CLOSED and touches nothing.
 *   - A number that is no handle gives NOTIFIER_INVALID where that can be told without a system call. See THE NUMBER.
 *   - In a forked child it gives NOTIFIER_CLOSED and does its parent no harm.
 *
 * THE HANDLE
 *   64 bits:  base >> 23 (25)  |  index (20)  |  generation (19, odd)
 *   base is the address of a block of shared memory: a multiple of 8 MiB, never unmapped, wiped on fork where the system
 *   can. On 64-bit systems a handle fits a void *, and base is at least 2^32 and below 2^47.
 *
 * THE NUMBER: what can be told of a wrong one
 *   - Bit 0 is set. It is clear in the numbers of ring.h.
 *   - It is at least 2^48 and below 2^63. So it is neither a pointer, nor a small or a negative number, nor what is left
 *     of a handle in a type of 32 bits. (Where a pointer has 32 bits: at least 2^39 and below 2^48.)
 *   - The block begins with its magic. In a forked child that sees zeros, magic and abi are 0.
 *   A number that passes the first two and names memory that is not mapped cannot be told without a system call: reading
 *   it is a segmentation fault. Compile with -DNOTIFIER_DEBUG to find such a number: each call then asks the system first,
 *   says on stderr what is wrong, and returns NOTIFIER_INVALID.
 *
 * THE BLOCK (offsets in bytes; every word is 32 bits in the host's byte order)
 *        0  magic        NOTIFIER_MAGIC; 0 in a forked child that sees zeros
 *        4  abi          NOTIFIER_ABI; 0 in a forked child that sees zeros
 *        8  kind         NOTIFIER_BELL_...: how to signal
 *       12  descriptor   what to signal
 *       16  pid          who may signal; 0: anyone (the block is wiped on fork)
 *      128  asleep       odd while the poller is asleep
 *      256  root         1 word:       bit r is set: look at top[r]
 *      384  top          32 words:     bit b of top[r]:  look at mid[r * 32 + b]
 *      512  mid          1,024 words:  bit b of mid[m]:  look at leaf[m * 32 + b]
 *     8192  leaf         32,768 words: a bit for each notifier
 *   139264  generation   1,048,576 words: that of each index's present owner
 *   Index i's bit in leaf: word (i & 2047) << 4 | (i >> 11 & 15), bit i >> 15.
 *
 * TO NOTIFY: the five steps in notifier_steps_ below, in that order. The poller's half is readyset.go.
 */
#ifndef NOTIFIER_H
#define NOTIFIER_H

#include <errno.h>
#include <stdint.h>

#ifdef _WIN32
/* windows.h without winsock.h, which would shut out winsock2.h, and without the macros min and max, which break C++.
   Include it yourself before this file to have it otherwise. */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#define NOTIFIER_LEAN_
#endif
#ifndef NOMINMAX
#define NOMINMAX
#define NOTIFIER_NOMINMAX_
#endif
#include <windows.h>
#ifdef NOTIFIER_LEAN_
#undef WIN32_LEAN_AND_MEAN
#undef NOTIFIER_LEAN_
#endif
#ifdef NOTIFIER_NOMINMAX_
#undef NOMINMAX
#undef NOTIFIER_NOMINMAX_
#endif
#ifdef _MSC_VER
#include <intrin.h>
#endif
#else
#include <sys/types.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#elif !defined(__APPLE__) && !defined(__FreeBSD__) && !defined(__DragonFly__) && !defined(__NetBSD__) && !defined(__OpenBSD__)
#include <pthread.h>
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__DragonFly__)
#define NOTIFIER_HAS_KQUEUE 1
#include <sys/event.h>
#include <sys/time.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t notifier_handle; /* pass it through a void *: on 64-bit systems it fits */

#define NOTIFIER_ABI 1

#define NOTIFIER_OK 0        /* a wake-up is on its way */
#define NOTIFIER_COALESCED 1 /* one already was: no system call made, unless somebody's signal had failed */
#define NOTIFIER_CLOSED (-1) /* the notifier is gone; nothing was touched */
#define NOTIFIER_INVALID (-2) /* no handle (see THE NUMBER), or a block of another ABI than this header's */
#define NOTIFIER_FAILED (-3) /* the doorbell failed; errno says why (on Windows GetLastError too); the next call tries again */

/* The layout. A test compares these with the Go half, and pins both to NOTIFIER_ABI. */
#define NOTIFIER_MAGIC 0x77616b65u
#define NOTIFIER_BASE_SHIFT 23
#define NOTIFIER_INDEX_BITS 20
#define NOTIFIER_GENERATION_BITS 19
#define NOTIFIER_OFFSET_MAGIC 0
#define NOTIFIER_OFFSET_ABI 4
#define NOTIFIER_OFFSET_KIND 8
#define NOTIFIER_OFFSET_DESCRIPTOR 12
#define NOTIFIER_OFFSET_PID 16
#define NOTIFIER_OFFSET_ASLEEP 128
#define NOTIFIER_OFFSET_ROOT 256
#define NOTIFIER_OFFSET_TOP 384
#define NOTIFIER_OFFSET_MID 512
#define NOTIFIER_OFFSET_LEAF 8192
#define NOTIFIER_OFFSET_GENERATION 139264
#define NOTIFIER_BLOCK_SIZE 4333568

#define NOTIFIER_BELL_NONE 0    /* the poller is broken: do not signal */
#define NOTIFIER_BELL_EVENTFD 1 /* descriptor: write the number 1, 8 bytes */
#define NOTIFIER_BELL_PIPE 2    /* descriptor: write a byte */
#define NOTIFIER_BELL_KQUEUE 3  /* descriptor: trigger EVFILT_USER with ident 0 */
#define NOTIFIER_BELL_IOCP 4    /* HANDLE of a completion port: post an empty packet */
#define NOTIFIER_BELL_LOOP 5    /* not for foreign code */

/* ---- atomics: all sequentially consistent ---- */

/* ThreadSanitizer knows no fences, and gcc warns of them in its builds. There the leaf bit is always written, never only
   looked at: that orders by itself what came before. */
#if defined(__SANITIZE_THREAD__)
#define NOTIFIER_TSAN_ 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NOTIFIER_TSAN_ 1
#endif
#endif

#if defined(_MSC_VER) && !defined(__clang__)

static __inline uint32_t notifier_load_(volatile uint32_t *p) {
#if defined(_M_IX86) || defined(_M_X64)
  return *p; /* all writes are locked instructions: nothing more is needed, and the line stays shared */
#else
  uint32_t v;
  MemoryBarrier();
  v = *p;
  MemoryBarrier();
  return v;
#endif
}
static __inline uint32_t notifier_or_(volatile uint32_t *p, uint32_t v) {
  return (uint32_t)_InterlockedOr((volatile long *)p, (long)v);
}
static __inline void notifier_cas_(volatile uint32_t *p, uint32_t from, uint32_t to) {
  (void)_InterlockedCompareExchange((volatile long *)p, (long)to, (long)from);
}
static __inline void notifier_fence_(void) { MemoryBarrier(); }
#define NOTIFIER_INLINE_ static __inline
#define NOTIFIER_SELDOM_ static __inline __declspec(noinline) /* inline, so that it may be unused */

#else /* gcc, clang, zig cc, mingw-w64 */

static inline uint32_t notifier_load_(volatile uint32_t *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
static inline uint32_t notifier_or_(volatile uint32_t *p, uint32_t v) {
  return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}
static inline void notifier_cas_(volatile uint32_t *p, uint32_t from, uint32_t to) {
  (void)__atomic_compare_exchange_n(p, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static inline void notifier_fence_(void) {
#if (defined(__x86_64__) || defined(__i386__)) && !defined(NOTIFIER_PLAIN_FENCE)
  /* a locked instruction on the own stack: as strong as mfence for ordinary memory (Intel SDM vol. 3, 9.2), and faster.
     On a word of its own: at the stack pointer may be the return address, and the return would wait for it. */
  uint32_t scratch;
#ifdef __clang__ /* which leaves out the size that GCC prints in Intel's dialect */
  __asm__ __volatile__("lock; or{l $0,%0| dword ptr %0,0}" : "=m"(scratch) : : "memory", "cc");
#else
  __asm__ __volatile__("lock; or{l $0,%0| %0,0}" : "=m"(scratch) : : "memory", "cc");
#endif
#elif !defined(NOTIFIER_TSAN_)
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}
#define NOTIFIER_INLINE_ static inline
#define NOTIFIER_SELDOM_ __attribute__((noinline, cold, unused)) static

#endif

/* Sets a bit, and says whether it was set already. Looks first: a word that needs no change stays shared. */
NOTIFIER_INLINE_ int notifier_raise_(volatile uint32_t *p, uint32_t bit) {
  uint32_t mask = (uint32_t)1 << bit;
  if (notifier_load_(p) & mask) return 1;
  return (notifier_or_(p, mask) & mask) != 0;
}

/* ---- signalling: 0, or the error ---- */

#ifdef _WIN32

NOTIFIER_INLINE_ int notifier_signal_(uint32_t kind, uint32_t descriptor) {
  if (kind != NOTIFIER_BELL_IOCP) return EBADF;
  /* Handles have 32 significant bits, sign-extended ("Interprocess Communication Between 32-bit and 64-bit"). */
  if (PostQueuedCompletionStatus((HANDLE)(intptr_t)(int32_t)descriptor, 0, 0, NULL)) return 0;
  return GetLastError() == ERROR_INVALID_HANDLE ? EBADF : ENOMEM;
}

#else

#if defined(__linux__)
/* The declaration is missing under -std=c11, where unistd.h keeps to the standard. (C++ compilers always ask it for all.) */
#ifndef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
extern long syscall(long, ...);
#pragma GCC diagnostic pop
#endif
/* syscall(2) and not write(2): the latter is a cancellation point. */
#define notifier_write_(fd, p, n) syscall(SYS_write, fd, p, n)
#define notifier_read_(fd, p, n) syscall(SYS_read, fd, p, n)
#elif defined(__APPLE__)
extern ssize_t notifier_write_(int, const void *, size_t) __asm__("_write$NOCANCEL");
extern ssize_t notifier_read_(int, void *, size_t) __asm__("_read$NOCANCEL");
#elif defined(__FreeBSD__) || defined(__DragonFly__)
extern ssize_t __sys_write(int, const void *, size_t);
extern ssize_t __sys_read(int, void *, size_t);
#define notifier_write_(fd, p, n) __sys_write(fd, p, n)
#define notifier_read_(fd, p, n) __sys_read(fd, p, n)
#elif defined(__NetBSD__)
extern ssize_t _sys_write(int, const void *, size_t);
extern ssize_t _sys_read(int, void *, size_t);
#define notifier_write_(fd, p, n) _sys_write(fd, p, n)
#define notifier_read_(fd, p, n) _sys_read(fd, p, n)
#elif defined(__OpenBSD__)
extern ssize_t _thread_sys_write(int, const void *, size_t);
extern ssize_t _thread_sys_read(int, void *, size_t);
#define notifier_write_(fd, p, n) _thread_sys_write(fd, p, n)
#define notifier_read_(fd, p, n) _thread_sys_read(fd, p, n)
#else
/* Elsewhere cancellation is put off around the call: by a flag of the thread, so no lock. */
NOTIFIER_INLINE_ ssize_t notifier_write_(int fd, const void *p, size_t n) {
  int old, unused;
  ssize_t done;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  done = write(fd, p, n);
  (void)pthread_setcancelstate(old, &unused);
  return done;
}
NOTIFIER_INLINE_ ssize_t notifier_read_(int fd, void *p, size_t n) {
  int old, unused;
  ssize_t done;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
  done = read(fd, p, n);
  (void)pthread_setcancelstate(old, &unused);
  return done;
}
#endif

NOTIFIER_INLINE_ int notifier_write_all_(int fd, const void *p, size_t n) {
  while (notifier_write_(fd, p, n) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

NOTIFIER_INLINE_ int notifier_signal_(uint32_t kind, uint32_t descriptor) {
  int fd = (int)descriptor, err;
  uint64_t one = 1;
  switch (kind) {
  case NOTIFIER_BELL_EVENTFD:
    err = notifier_write_all_(fd, &one, sizeof one);
    if (err == EAGAIN) {
      /* The counter is at its maximum: such a write wakes nobody. Empty it and write again. If that finds it full once
         more, somebody has written in between: after this caller's bits, so their signal serves. */
      uint64_t count;
      while (notifier_read_(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        if (errno != EINTR) return errno;
      err = notifier_write_all_(fd, &one, sizeof one);
      if (err == EAGAIN) err = 0;
    }
    return err;
  case NOTIFIER_BELL_PIPE:
    err = notifier_write_all_(fd, "", 1);
    return err == EAGAIN ? 0 : err; /* full of signals that the poller has not read yet */
#ifdef NOTIFIER_HAS_KQUEUE
  case NOTIFIER_BELL_KQUEUE: {
    struct kevent change;
    EV_SET(&change, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
    while (kevent(fd, &change, 1, 0, 0, 0) < 0)
      if (errno != EINTR) return errno;
    return 0;
  }
#endif
  default:
    return EBADF;
  }
}

#endif

/* ---- notify ---- */

/* Whether a number can be one that Go gave out: with the right bit 0, and the bits of an address 16 bits further up. */
NOTIFIER_INLINE_ int notifier_number_(uint64_t number, uint32_t bit0) {
#if UINTPTR_MAX > 0xffffffffu
  const uint64_t least = (uint64_t)1 << 48, end = (uint64_t)1 << 63;
#else
  const uint64_t least = (uint64_t)1 << 39, end = (uint64_t)1 << 48;
#endif
  return number - least < end - least && ((uint32_t)number & 1) == bit0;
}

/* NOTIFIER_OK, or why the memory that begins with this magic and ABI has nothing of this process in it. */
NOTIFIER_INLINE_ int notifier_mine_(volatile uint32_t *header, uint32_t magic, uint32_t abi, volatile uint32_t *pid_word) {
  uint32_t has_magic = notifier_load_(header), has_abi = notifier_load_(header + 1), pid;
  if (has_magic != magic || has_abi != abi)
    return has_abi || (has_magic && has_magic != magic) ? NOTIFIER_INVALID : NOTIFIER_CLOSED;

  /* A forked child whose memory was not wiped has a copy that nobody looks at. */
  pid = notifier_load_(pid_word);
#ifdef _WIN32
  (void)pid;
#else
  if (pid && pid != (uint32_t)getpid()) return NOTIFIER_CLOSED;
#endif
  return NOTIFIER_OK;
}

/* ---- NOTIFIER_DEBUG: what is wrong with a number, on stderr. Safe in signal handlers, and as slow as a system call. ---- */

#ifdef NOTIFIER_DEBUG

#ifdef _WIN32
NOTIFIER_SELDOM_ int notifier_readable_(const void *p) {
  MEMORY_BASIC_INFORMATION m;
  return VirtualQuery(p, &m, sizeof m) && m.State == MEM_COMMIT && !(m.Protect & (PAGE_NOACCESS | PAGE_GUARD));
}
#elif defined(__linux__)
/* rt_sigprocmask(2) reads the mask before it refuses what it is asked to do with it. */
NOTIFIER_SELDOM_ int notifier_readable_(const void *p) {
  return syscall(SYS_rt_sigprocmask, -1, p, (void *)0, (size_t)8) < 0 && errno != EFAULT;
}
#else
/* access(2) reads a file's name there. There is none of that name, or there is: it says EFAULT for neither. */
NOTIFIER_SELDOM_ int notifier_readable_(const void *p) {
  return access((const char *)p, F_OK) == 0 || errno != EFAULT;
}
#endif

NOTIFIER_SELDOM_ void notifier_complain_(const char *call, uint64_t number, const char *what) {
  char line[256];
  unsigned n = 0;
  int shift;
  while (*call && n < 60) line[n++] = *call++;
  line[n++] = '(';
  line[n++] = '0';
  line[n++] = 'x';
  for (shift = 60; shift >= 0; shift -= 4) line[n++] = "0123456789abcdef"[number >> shift & 15];
  line[n++] = ')';
  line[n++] = ':';
  line[n++] = ' ';
  while (*what && n < sizeof line - 1) line[n++] = *what++;
  line[n++] = '\n';
#ifdef _WIN32
  {
    DWORD written;
    (void)WriteFile(GetStdHandle(STD_ERROR_HANDLE), line, n, &written, NULL);
  }
#else
  while (notifier_write_(2, line, n) < 0 && errno == EINTR) {
  }
#endif
}

/* Reports whether number names memory with this magic, or with zeros, and says so if not. */
NOTIFIER_SELDOM_ int notifier_debug_(const char *call, uint64_t number, uint32_t bit0, const void *base, uint32_t magic) {
  const char *what = NULL;
  uint32_t found;
#ifdef _WIN32
  DWORD saved = GetLastError();
#else
  int saved = errno;
#endif
  if (bit0 && !(number & 1)) base = (const void *)(uintptr_t)(number >> 28 << 12); /* as ring.h makes numbers */
  if (!number)
    what = "0 is no handle: Handle was not called, or failed";
  else if (!notifier_number_(number, (uint32_t)number & 1))
    what = "no handle: a pointer, a number that lost its upper half in a type of 32 bits, or something else";
  else if (((uint32_t)number & 1) > bit0)
    what = "this is the handle of a notifier: it belongs in notifier_notify";
  else if (!notifier_readable_(base))
    what = "no handle: there is no memory where it points";
  else if ((found = notifier_load_((volatile uint32_t *)base)) == magic)
    what = NULL;
  else if (found == 0x676e6972u)
    what = "this is the number of a ring: it belongs in notifier_ring_push";
  else if (found == 0x2074756fu)
    what = "this is the number of an Out: it belongs in notifier_out_read";
  else if (found)
    what = "no handle: it points to memory of somebody else, or somebody wrote over the first word there";
  else if (((uint32_t)number & 1) != bit0)
    what = "this is the number of a ring or an Out that ended long ago: it belongs in ring.h";
  if (what) notifier_complain_(call, number, what);
#ifdef _WIN32
  SetLastError(saved);
#else
  errno = saved;
#endif
  return !what;
}

#endif

/* The five steps. */
NOTIFIER_SELDOM_ int notifier_steps_(notifier_handle h) {
  char *base = (char *)(uintptr_t)(h >> (NOTIFIER_INDEX_BITS + NOTIFIER_GENERATION_BITS) << NOTIFIER_BASE_SHIFT);
  uint32_t index = (uint32_t)(h >> NOTIFIER_GENERATION_BITS) & (((uint32_t)1 << NOTIFIER_INDEX_BITS) - 1);
  uint32_t generation = (uint32_t)h & (((uint32_t)1 << NOTIFIER_GENERATION_BITS) - 1);
  uint32_t word = (index & 2047) << 4 | (index >> 11 & 15), bit = index >> 15, asleep;
  volatile uint32_t *block = (volatile uint32_t *)(void *)base;
  int coalesced, code;

#ifdef NOTIFIER_DEBUG
  if (!notifier_debug_("notifier_notify", h, 1, base, NOTIFIER_MAGIC)) return NOTIFIER_INVALID;
#endif
  if (!notifier_number_(h, 1)) return NOTIFIER_INVALID;

  /* 1. The fence. What the caller wrote before is visible before the look at the bit. A release would not do: the look is
        a load. The partner is the full fence after clearing, in deliver and absorb of notifier.go. */
  notifier_fence_();

  code = notifier_mine_(block, NOTIFIER_MAGIC, NOTIFIER_ABI, block + NOTIFIER_OFFSET_PID / 4);
  if (code != NOTIFIER_OK) return code;

  /* 2. The generation. Another one: the notifier was closed. */
  if (notifier_load_(block + NOTIFIER_OFFSET_GENERATION / 4 + index) != generation) return NOTIFIER_CLOSED;

  /* 3. The leaf bit. Set already: coalesced, and from here on only shared reads, as a rule. */
#ifdef NOTIFIER_TSAN_
  coalesced = (int)(notifier_or_(block + NOTIFIER_OFFSET_LEAF / 4 + word, (uint32_t)1 << bit) >> bit & 1u);
#else
  coalesced = notifier_raise_(block + NOTIFIER_OFFSET_LEAF / 4 + word, bit);
#endif

  /* 4. The levels above. Upwards, also when coalesced: whoever set the bit below may have died since. The poller clears
        them downwards, so that one of the two sees the other (scan in readyset.go). */
  (void)notifier_raise_(block + NOTIFIER_OFFSET_MID / 4 + (word >> 5), word & 31);
  (void)notifier_raise_(block + NOTIFIER_OFFSET_TOP / 4 + (word >> 10), word >> 5 & 31);
  (void)notifier_raise_(block + NOTIFIER_OFFSET_ROOT / 4, word >> 10);

  /* 5. The doorbell. The poller stores a new odd number and then looks at root (fallAsleep in readyset.go); here root is
        set and then asleep looked at. Odd: signal, also when coalesced, and only then say that no other needs to. */
  asleep = notifier_load_(block + NOTIFIER_OFFSET_ASLEEP / 4);
  if (asleep & 1) {
    int err;
#ifdef _WIN32
    DWORD last = GetLastError(); /* and errno is left alone: a thread's first use of it allocates */
#else
    int saved = errno;
#endif
    /* 5a. The signal. One that failed leaves asleep as it is, for the next caller. */
    err = notifier_signal_(notifier_load_(block + NOTIFIER_OFFSET_KIND / 4),
                           notifier_load_(block + NOTIFIER_OFFSET_DESCRIPTOR / 4));
    if (err) {
      errno = err;
      return NOTIFIER_FAILED;
    }
    /* 5b. The even number. */
    notifier_cas_(block + NOTIFIER_OFFSET_ASLEEP / 4, asleep, asleep + 1);
#ifdef _WIN32
    SetLastError(last);
#else
    errno = saved;
#endif
  }
  return coalesced ? NOTIFIER_COALESCED : NOTIFIER_OK;
}

/* Makes sure that a wake-up of h's notifier follows. Returns one of the codes above; those below 0 mean that none was
 * arranged. Safe from any thread and signal handler at any time, for any handle that Go ever gave out. */
NOTIFIER_INLINE_ int notifier_notify(notifier_handle h) {
#if !defined(NOTIFIER_TSAN_) && !defined(NOTIFIER_DEBUG)
  /* The steps as they are when there is nothing to do, the common case: the same looks in the same order. Apart, since a
     function without calls and writes keeps everything in registers. Another language can do without. */
  volatile uint32_t *block =
      (volatile uint32_t *)(uintptr_t)(h >> (NOTIFIER_INDEX_BITS + NOTIFIER_GENERATION_BITS) << NOTIFIER_BASE_SHIFT);
  uint32_t index = (uint32_t)(h >> NOTIFIER_GENERATION_BITS) & (((uint32_t)1 << NOTIFIER_INDEX_BITS) - 1);
  uint32_t generation = (uint32_t)h & (((uint32_t)1 << NOTIFIER_GENERATION_BITS) - 1);
  uint32_t word = (index & 2047) << 4 | (index >> 11 & 15), bit = index >> 15;

  if (!notifier_number_(h, 1)) return NOTIFIER_INVALID;
  notifier_fence_();
  if (notifier_load_(block + NOTIFIER_OFFSET_MAGIC / 4) == NOTIFIER_MAGIC &&
      notifier_load_(block + NOTIFIER_OFFSET_ABI / 4) == NOTIFIER_ABI &&
#ifndef _WIN32
      notifier_load_(block + NOTIFIER_OFFSET_PID / 4) == 0 &&
#endif
      notifier_load_(block + NOTIFIER_OFFSET_GENERATION / 4 + index) == generation &&
      notifier_load_(block + NOTIFIER_OFFSET_LEAF / 4 + word) >> bit & 1u &&
      notifier_load_(block + NOTIFIER_OFFSET_MID / 4 + (word >> 5)) >> (word & 31) & 1u &&
      notifier_load_(block + NOTIFIER_OFFSET_TOP / 4 + (word >> 10)) >> (word >> 5 & 31) & 1u &&
      notifier_load_(block + NOTIFIER_OFFSET_ROOT / 4) >> (word >> 10) & 1u &&
      !(notifier_load_(block + NOTIFIER_OFFSET_ASLEEP / 4) & 1u))
    return NOTIFIER_COALESCED;
#endif
  return notifier_steps_(h);
}

#ifdef __cplusplus
}
#endif

#endif /* NOTIFIER_H */
