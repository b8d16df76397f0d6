/* Threads that call a function of Go's assembler as a library would, for tests, through internal/ccall's check. */
#ifndef FOREIGN_CALLS_H
#define FOREIGN_CALLS_H

#include "threads.h"

/* What ccall's function takes. */
typedef struct {
  uint64_t function, arguments[6], result, changed;
} foreign_frame;

typedef struct {
  void (*checked)(foreign_frame *);
  foreign_frame frame;
  uint64_t each, wrong; /* calls that changed a register, or did not return the expected */
  uint64_t expected;
  foreign_thread thread;
} foreign_caller_;

static void foreign_run_caller_(void *p) {
  foreign_caller_ *c = p;
  uint64_t i;
  for (i = 0; i < c->each; i++) {
    foreign_frame f = c->frame;
    c->checked(&f);
    if (f.changed || f.result != c->expected) c->wrong++;
  }
}

/* Calls the function each times on every one of so many threads, or with 0 threads on this one, and returns how many calls
 * went wrong. */
static uint64_t foreign_calls(void *checked, void *function, const uint64_t *arguments, uint64_t expected, uint64_t threads,
                              uint64_t each) {
  uint64_t i, wrong = 0, count = threads ? threads : 1;
  foreign_caller_ *callers = calloc(count, sizeof *callers);
  if (!callers) abort();
  for (i = 0; i < count; i++) {
    callers[i].checked = (void (*)(foreign_frame *))(uintptr_t)checked;
    callers[i].frame.function = (uint64_t)(uintptr_t)function;
    memcpy(callers[i].frame.arguments, arguments, sizeof callers[i].frame.arguments);
    callers[i].expected = expected;
    callers[i].each = each;
    if (!threads)
      foreign_run_caller_(&callers[i]);
    else if (foreign_start(&callers[i].thread, foreign_run_caller_, &callers[i]))
      abort();
  }
  for (i = 0; i < count; i++) {
    if (threads) foreign_join(callers[i].thread);
    wrong += callers[i].wrong;
  }
  free(callers);
  return wrong;
}

#endif
