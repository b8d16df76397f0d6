/* Prints the C half of the layout, one "NAME value" a line, and what of a number is what: see c_test.go. */
#include "ring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* macros.h is made by the test: a SHOW for each constant that it finds in the text of the header. */
#define SHOW(name) printf(#name " %lld\n", (long long)(name))

int main(int argc, char **argv) {
  int i;
#include "macros.h"
  for (i = 1; i < argc; i++) {
    notifier_ring r = (notifier_ring)strtoull(argv[i], NULL, 0);
    printf("number %" PRIu64 " control %" PRIuPTR " generation %" PRIu32 "\n", r, (uintptr_t)notifier_ring_control_(r),
           notifier_ring_generation_(r));
  }
  return 0;
}
