/* What a header with NOTIFIER_DEBUG answers and says of numbers that name nothing. Without it, those that can be told.
 * Prints "NAME code", and on stderr what the header says. */
#include "block.h"
#include "ring.h"

static void call(const char *name, notifier_handle h) {
  errno = 4711;
  printf("%s %d\n", name, notifier_notify(h));
  CHECK(errno == 4711, "errno became %d", errno);
}

static void push(const char *name, notifier_ring r) {
  errno = 4711;
  printf("%s %d\n", name, notifier_ring_push(r, "", 1));
  CHECK(errno == 4711, "errno became %d", errno);
}

static void fetch(const char *name, notifier_out o) {
  char byte;
  errno = 4711;
  printf("%s %d\n", name, (int)notifier_out_read(o, &byte, 1));
  CHECK(errno == 4711, "errno became %d", errno);
}

int main(int argc, char **argv) {
  (void)argv;
  struct block b, unmapped;
  open_block(&b, NOTIFIER_BELL_EVENTFD, 1);
  open_block(&unmapped, NOTIFIER_BELL_EVENTFD, 1);
  uint32_t *page = (uint32_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint32_t *out = (uint32_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  notifier_out o = (notifier_out)(uintptr_t)out >> NOTIFIER_RING_BASE_SHIFT << NOTIFIER_RING_GENERATION_BITS | 2;
  notifier_ring r = (notifier_ring)(uintptr_t)page >> NOTIFIER_RING_BASE_SHIFT << NOTIFIER_RING_GENERATION_BITS | 2;
  notifier_handle h = admit(&b, 0, 1), gone = admit(&unmapped, 0, 1);
  page[0] = NOTIFIER_RING_MAGIC;
  page[1] = NOTIFIER_RING_ABI;
  page[2] = 4; /* closed since */
  out[0] = NOTIFIER_OUT_MAGIC;
  out[1] = NOTIFIER_OUT_ABI;
  out[2] = 4;

  call("good", h);
  call("closed", h + 2);
  push("closed ring", r);
  call("zero", 0);
  call("truncated", (uint32_t)h);
  call("pointer", (uint64_t)(uintptr_t)&h | 1);
  call("ring's", r);
  push("zero ring", 0);
  push("truncated ring", (uint32_t)r);
  push("notifier's", h);
  fetch("closed Out", o);
  fetch("ring's in read", r);
  fetch("notifier's in read", h);
  call("Out's", o);
  push("Out's in push", o);
  out[0] = 0;
  call("retired", o);
  store(WORD(&b, MAGIC, 0), 0x12345678);
  call("magic", h);
  page[0] = 0x12345678;
  push("ring magic", r);
  if (argc > 1) { /* only a header that looks survives this */
    munmap(unmapped.base, 4096);
    call("unmapped", gone);
    mprotect(page, 4096, PROT_NONE);
    push("unreadable", r);
  }
  return 0;
}
