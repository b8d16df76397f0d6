/* The words of a control block, and what must be true of them: what the programs here share. */
#ifndef WORDS_H
#define WORDS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(x)                                                       \
  do {                                                                \
    if (!(x)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
      exit(1);                                                        \
    }                                                                 \
  } while (0)

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

static inline uint32_t *word_at(char *block, size_t offset) { return (uint32_t *)(void *)(block + offset); }
static inline uintptr_t *native_at(char *block, size_t offset) { return (uintptr_t *)(void *)(block + offset); }

#endif
