/* Stops notifier_notify at every instruction (x86), and there
 *   - jumps out of it, as a cancelled thread or a longjmp from a signal handler would, or
 *   - notifies another notifier, as a signal handler on top of it would, or
 *   - lets the poller have a turn, as a preemption would, and goes on.
 * After each, whatever state it was begun in, every completed notification must reach the poller: one that is asleep
 * wakes for its doorbell only.
 *
 * The instructions of a call are found once for each state by single-stepping it; each stop is then a breakpoint, which
 * is some fifty times as quick.
 *
 * step [quick]: prints how many stops there were. Exit code 77: this machine does not single-step. */
#include "block.h"
#include <setjmp.h>
#include <ucontext.h>

enum what { JUMP_OUT, HANDLER, POLLER };
enum before { NOTHING, PENDING, LEAF_ONLY, LEAF_AND_MID, ROOT_ONLY, ROOT_AND_TOP, STATES };

#define VICTIM 3u
static const uint32_t others[] = {
    VICTIM,         /* the same one again */
    VICTIM + 32768, /* in the same leaf word */
    VICTIM + 2048,  /* in the next leaf word, below the same mid word */
    VICTIM + 64,    /* below another mid word of the same top word */
    VICTIM + 1024,  /* below another root bit */
};

static struct block b;
static notifier_handle victim, other;
static uint32_t other_index;
static enum what action;
static volatile int target, stopped, other_done;
static volatile int found_victim, found_other;
static sigjmp_buf out;

static void found(void *arg, uint32_t index) {
  (void)arg;
  if (index == VICTIM) found_victim = 1;
  if (index == other_index) found_other = 1;
}

/* What the poller does when it gets the processor: nothing if it is asleep and nobody has signalled. */
static void turn(void) {
  if (b.sleeping) {
    if (!signalled(&b, 0)) return;
    wake_up(&b);
  }
  do scan(&b, found, NULL);
  while (!fall_asleep(&b));
}

static void notify_other(void) {
  found_other = 0;
  int code = notifier_notify(other);
  CHECK(code >= 0, "%d", code);
  other_done = 1;
}

static void act(void) {
  stopped = 1;
  switch (action) {
  case JUMP_OUT: siglongjmp(out, 1);
  case HANDLER: notify_other(); break;
  case POLLER: turn(); break;
  }
}

#define TRAP_FLAG 0x100
#if defined(__x86_64__)
#define IP(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define FLAGS(context) ((context)->uc_mcontext.gregs[REG_EFL])
/* The flag traps after the instruction that follows the one that sets it. The lea skips the red zone. */
#define SINGLE_STEP()                                                                                                 \
  __asm__ __volatile__("lea -128(%%rsp), %%rsp; pushfq; xorq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::: "memory", "cc")
#elif defined(__i386__)
#define IP(context) ((context)->uc_mcontext.gregs[REG_EIP])
#define FLAGS(context) ((context)->uc_mcontext.gregs[REG_EFL])
#define SINGLE_STEP() __asm__ __volatile__("pushfl; xorl $0x100, (%%esp); popfl" ::: "memory", "cc")
#else
#error "write down how this processor single-steps"
#endif

#define BREAKPOINT 0xcc
#define MOST 1000
/* volatile: the compiler knows no signal handlers. */
static unsigned char *volatile trace[MOST]; /* the instructions of a call, in the order of execution */
static volatile int length, tracing;
static volatile struct {
  unsigned char *at, was;
  int passes; /* how often to let it pass before the stop */
  int set, over;
} stop;

static void set_breakpoint(void) {
  stop.was = *stop.at;
  *(volatile unsigned char *)stop.at = BREAKPOINT;
  stop.set = 1;
}

static void remove_breakpoint(void) {
  if (stop.set) *(volatile unsigned char *)stop.at = stop.was;
  stop.set = 0;
}

static void trap(int signal, siginfo_t *info, void *c) {
  ucontext_t *context = (ucontext_t *)c;
  (void)signal;
  (void)info;
  if (tracing) {
    if (length < MOST) trace[length] = (unsigned char *)IP(context);
    length = length + 1;
  } else if (stop.over) { /* one instruction after a breakpoint that was let pass */
    stop.over = 0;
    FLAGS(context) &= ~TRAP_FLAG;
    set_breakpoint();
  } else {
    remove_breakpoint();
    IP(context)--;
    stop.passes = stop.passes - 1;
    if (stop.passes >= 0) {
      stop.over = 1;
      FLAGS(context) |= TRAP_FLAG;
    } else {
      act();
    }
  }
}

/* One copy of notifier_notify, apart from those that the handler and the poller's turn use. */
__attribute__((noinline)) static int call(notifier_handle h) {
  int code;
  if (tracing) SINGLE_STEP();
  code = notifier_notify(h);
  if (tracing) SINGLE_STEP();
  return code;
}

/* Finds the instructions of a call. */
static void find_instructions(void) {
  length = 0;
  tracing = 1;
  call(victim);
  tracing = 0;
  if (length == 0) exit(77);
  CHECK(length <= MOST, "%d instructions", length);
  for (int i = 0; i < length; i++) {
    static uintptr_t writable[16];
    static int pages;
    uintptr_t page = (uintptr_t)trace[i] & ~(uintptr_t)4095;
    int p = 0;
    while (p < pages && writable[p] != page) p++;
    if (p < pages) continue;
    CHECK(pages < 16, "code all over the place");
    if (mprotect((void *)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC)) exit(77);
    writable[pages++] = page;
  }
}

/* Notifies the victim, with a stop before the k-th instruction. Returns whether the call ended by itself. */
static int stopped_at(int k, int *code) {
  int passes = 0;
  for (int i = 0; i < k; i++) passes += trace[i] == trace[k];
  stop.at = trace[k];
  stop.passes = passes;
  stop.over = stopped = 0;
  if (sigsetjmp(out, 1)) return 0;
  set_breakpoint();
  *code = call(victim);
  remove_breakpoint();
  return 1;
}

static void prepare(enum before state, int sleeping, int full) {
  for (size_t w = NOTIFIER_OFFSET_ROOT / 4; w < 1 << 10; w++) store(block_word(&b, 0, w), 0);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) store(WORD(&b, LEAF, word_of(others[i])), 0);
  wake_up(&b);
  if (sleeping) CHECK(fall_asleep(&b), "no bed");
  if (full) {
    uint64_t most = 0xfffffffffffffffeu;
    CHECK(write(b.bell, &most, 8) == 8, "%s", strerror(errno));
    /* A counter at its maximum is readable, but the poller, which waits for edges, has seen that one. */
  }
  uint32_t word = word_of(VICTIM);
  if (state == PENDING || state == LEAF_ONLY || state == LEAF_AND_MID) store(WORD(&b, LEAF, word), 1u << bit_of(VICTIM));
  if (state == PENDING || state == LEAF_AND_MID) store(WORD(&b, MID, word >> 5), 1u << (word & 31));
  if (state == PENDING || state == ROOT_AND_TOP) store(WORD(&b, TOP, word >> 10), 1u << (word >> 5 & 31));
  if (state == PENDING || state == ROOT_ONLY || state == ROOT_AND_TOP) store(WORD(&b, ROOT, 0), 1u << (word >> 10));
  found_victim = found_other = other_done = 0;
}

static void expect(volatile int *found, const char *who) {
  turn();
  CHECK(*found, "%s's notification was lost: other %u, action %d, stop %d of %d, asleep %d, rung %d, asleep %u, root %#x", who,
        (unsigned)other_index, (int)action, target, length, b.sleeping, signalled(&b, 0), (unsigned)load(WORD(&b, ASLEEP, 0)),
        (unsigned)load(WORD(&b, ROOT, 0)));
}

/* A counter at its maximum is readable, but the poller, which waits for edges, has seen that edge before it lay down. */
static void hide_old_edge(void) {
  uint64_t count;
  if (read(b.bell, &count, 8) == 8 && count < 0xfffffffffffffffeu) CHECK(write(b.bell, &count, 8) == 8, "%s", strerror(errno));
}

int main(int argc, char **argv) {
  int quick = argc > 1 && strcmp(argv[1], "quick") == 0, code = 0;
  long stops = 0;
  struct sigaction handler;
  memset(&handler, 0, sizeof handler);
  handler.sa_sigaction = trap;
  handler.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &handler, NULL);

  for (int bell = 0; bell < 3; bell++) { /* eventfd, pipe, and an eventfd whose counter is full */
    open_block(&b, bell == 1 ? NOTIFIER_BELL_PIPE : NOTIFIER_BELL_EVENTFD, 1);
    victim = admit(&b, VICTIM, 1);
    /* Bind the symbols first: the dynamic linker's thousands of instructions are not what is tested. */
    store(WORD(&b, ASLEEP, 0), 1);
    call(victim);
    for (int state = 0; state < STATES; state++)
      for (int sleeping = 0; sleeping < 2; sleeping++) {
        int full = bell == 2 && sleeping;
        if (bell && !sleeping) continue; /* the doorbell is not touched */
        prepare((enum before)state, sleeping, full);
        find_instructions();
        for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
          other_index = others[o];
          other = admit(&b, other_index, 1);
          for (int what = 0; what < 3; what++)
            for (int between = 0; between < 2; between++) {
              if (quick && (between || what != JUMP_OUT || o > 1)) continue;
              action = (enum what)what;
              for (target = 0; target < length; target++) {
                prepare((enum before)state, sleeping, full);
                int ended = stopped_at(target, &code);
                CHECK(stopped || target > length - 8, "never came to stop %d of %d", target, length);
                stops += stopped;
                if (full) hide_old_edge();
                if (ended) CHECK(code >= 0, "%d", code);
                if (other_done) expect(&found_other, "the handler");
                if (ended && !found_victim) expect(&found_victim, "the interrupted call");
                if (between) turn();
                notify_other();
                expect(&found_other, "the next caller");
                found_victim = 0;
                code = notifier_notify(victim);
                CHECK(code >= 0, "%d", code);
                expect(&found_victim, "the victim's next call");
              }
            }
        }
      }
  }
  printf("%ld stops\n", stops);
  return 0;
}
