/* For tests on a unix: a signal handler that notifies, and a forked child that does. */
#ifndef FOREIGN_SIGNALS_H
#define FOREIGN_SIGNALS_H

#include "threads.h"

#include <signal.h>
#include <sys/wait.h>

static uint64_t foreign_handler_handle;
static uint64_t foreign_handler_counts[5]; /* ok, coalesced, closed, failed, errno changed */
static struct sigaction foreign_handler_before;

static void foreign_handler_(int number) {
  const int before = 23456;
  int saved = errno, code;
  (void)number;
  errno = before;
  code = notifier_notify(__atomic_load_n(&foreign_handler_handle, __ATOMIC_SEQ_CST));
  if (code != NOTIFIER_FAILED && errno != before) __atomic_fetch_add(&foreign_handler_counts[4], 1, __ATOMIC_SEQ_CST);
  code = code == NOTIFIER_OK ? 0 : code == NOTIFIER_COALESCED ? 1 : code == NOTIFIER_CLOSED ? 2 : 3;
  __atomic_fetch_add(&foreign_handler_counts[code], 1, __ATOMIC_SEQ_CST);
  errno = saved;
}

static int foreign_install_handler(uint64_t handle) {
  struct sigaction action;
  int i;
  memset(&action, 0, sizeof action);
  action.sa_handler = foreign_handler_;
  action.sa_flags = SA_ONSTACK | SA_RESTART; /* Go's threads have small stacks, and an alternate one for signals */
  for (i = 0; i < 5; i++) foreign_handler_counts[i] = 0;
  __atomic_store_n(&foreign_handler_handle, handle, __ATOMIC_SEQ_CST);
  return sigaction(SIGUSR2, &action, &foreign_handler_before) ? errno : 0;
}

static void foreign_remove_handler(void) { sigaction(SIGUSR2, &foreign_handler_before, 0); }

static uint64_t foreign_handler_count(int i) { return __atomic_load_n(&foreign_handler_counts[i], __ATOMIC_SEQ_CST); }

/* Sends the signal to each thread of the crowd in turn. None of them has been joined. */
static void foreign_signal_crowd(foreign_crowd *c, uint64_t times) {
  uint64_t i;
  for (i = 0; i < times; i++) pthread_kill(c->members[i % c->threads].thread, SIGUSR2);
}

/* Forks, without an exec; the child notifies some times and says what came of the last. Returns 256 if there was no child,
 * 512 and the signal's number if it died of one. */
static int foreign_fork_notify(uint64_t handle, int times) {
  int status, i, code = NOTIFIER_INVALID;
  pid_t child = fork();
  if (child < 0) return 256;
  if (child == 0) {
    for (i = 0; i < times; i++) code = notifier_notify(handle);
    _exit((code + 16) & 255);
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 256;
  if (WIFSIGNALED(status)) return 512 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

#endif
