//go:build cgo && unix

package ringforeign

// This file holds what a forked child sees of a ring.

// #include "producers.h"
// #include <sys/wait.h>
//
// static int child_codes(notifier_ring r, void *rec, int codes[5]) {
//   int pipes[2], status;
//   pid_t child;
//   if (pipe(pipes)) return -1;
//   child = fork();
//   if (child < 0) return -1;
//   if (!child) {
//     void *mine = NULL;
//     codes[0] = notifier_ring_push(r, "child", 5);
//     codes[1] = notifier_ring_reserve(r, 5, &mine);
//     alarm(20); /* if it hangs */
//     codes[2] = notifier_ring_commit(r, rec);
//     codes[3] = notifier_ring_try(r, "child", 5);
//     codes[4] = notifier_ring_wait(r, 5, -1);
//     _exit(write(pipes[1], codes, 5 * sizeof *codes) != 5 * sizeof *codes);
//   }
//   close(pipes[1]);
//   status = read(pipes[0], codes, 5 * sizeof *codes) == 5 * sizeof *codes;
//   close(pipes[0]);
//   if (waitpid(child, NULL, 0) < 0) return -1;
//   return status ? 0 : -1;
// }
import "C"

import "unsafe"

// Forks tells whether there is InChild.
const Forks = true

// InChild forks, and returns what in the child the calls for h return: a push, a
// reservation, the commit of rec, which was reserved in the parent, a try, and a wait
// without a timeout.
func InChild(h uint64, rec unsafe.Pointer) (codes [5]int, ok bool) {
	var c [5]C.int
	ok = C.child_codes(C.notifier_ring(h), rec, &c[0]) == 0
	for i := range c {
		codes[i] = int(c[i])
	}
	return codes, ok
}
