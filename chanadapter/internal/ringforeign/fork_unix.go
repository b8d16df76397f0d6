//go:build cgo && unix

package ringforeign

// This file holds what a forked child sees of a ring.

// #include "producers.h"
// #include <sys/wait.h>
//
// static int child_codes(notifier_ring r, void *rec, int codes[3]) {
//   int pipes[2], status;
//   pid_t child;
//   if (pipe(pipes)) return -1;
//   child = fork();
//   if (child < 0) return -1;
//   if (!child) {
//     void *mine = NULL;
//     codes[0] = notifier_ring_push(r, "child", 5);
//     codes[1] = notifier_ring_reserve(r, 5, &mine);
//     codes[2] = notifier_ring_commit(r, rec);
//     _exit(write(pipes[1], codes, 3 * sizeof *codes) != 3 * sizeof *codes);
//   }
//   close(pipes[1]);
//   status = read(pipes[0], codes, 3 * sizeof *codes) == 3 * sizeof *codes;
//   close(pipes[0]);
//   if (waitpid(child, NULL, 0) < 0) return -1;
//   return status ? 0 : -1;
// }
import "C"

import "unsafe"

// Forks tells whether there is InChild.
const Forks = true

// InChild forks, and returns what in the child the calls for h return: a push, a
// reservation, and the commit of rec, which was reserved in the parent.
func InChild(h uint64, rec unsafe.Pointer) (push, reserve, commit int, ok bool) {
	var codes [3]C.int
	ok = C.child_codes(C.notifier_ring(h), rec, &codes[0]) == 0
	return int(codes[0]), int(codes[1]), int(codes[2]), ok
}
