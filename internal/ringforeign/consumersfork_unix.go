//go:build cgo && unix

package ringforeign

// This file holds what a forked child sees of an Out.

// #include "consumers.h"
// #include <sys/wait.h>
//
// static int child_reads(notifier_out o, uint64_t got[2]) {
//   int pipes[2], ok;
//   pid_t child;
//   if (pipe(pipes)) return 0;
//   child = fork();
//   if (child < 0) return 0;
//   if (!child) {
//     char buffer[256];
//     const void *rec = NULL;
//     got[0] = notifier_out_read(o, buffer, sizeof buffer);
//     got[1] = notifier_out_peek(o, &rec);
//     notifier_out_done(o);
//     _exit(write(pipes[1], got, 2 * sizeof *got) != 2 * sizeof *got);
//   }
//   close(pipes[1]);
//   ok = read(pipes[0], got, 2 * sizeof *got) == 2 * sizeof *got;
//   close(pipes[0]);
//   return waitpid(child, NULL, 0) >= 0 && ok;
// }
import "C"

// OutInChild forks, and returns what in the child notifier_out_read and
// notifier_out_peek return. It is there if Forks is true.
func OutInChild(h uint64) (read, peek int, ok bool) {
	var got [2]C.uint64_t
	ok = C.child_reads(C.notifier_out(h), &got[0]) != 0
	return int(got[0]), int(got[1]), ok
}
