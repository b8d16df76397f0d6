/* Threads that are terminated in notifier_notify. */
#include "notifier.h"

struct foreign_wreck_thread {
  const uint64_t *handles;
  int number;
  LONG begun;
  LONG64 calls;
};

/* It calls nothing that takes a lock of the C library: a terminated thread would leave it locked. */
static DWORD WINAPI foreign_wreck_notifies(LPVOID arg) {
  struct foreign_wreck_thread *t = (struct foreign_wreck_thread *)arg;
  int i;
  InterlockedExchange(&t->begun, 1);
  for (;;)
    for (i = 0; i < t->number; i++) {
      notifier_notify(t->handles[i]);
      InterlockedIncrement64(&t->calls);
    }
}

/* Returns 0 or Windows' error. */
static int foreign_terminate(const uint64_t *handles, int number, int rounds, uint64_t *calls) {
  unsigned x = 12345;
  int round;
  *calls = 0;
  for (round = 0; round < rounds; round++) {
    struct foreign_wreck_thread t = {handles, number, 0, 0};
    volatile unsigned n;
    HANDLE thread = CreateThread(NULL, 0, foreign_wreck_notifies, &t, 0, NULL);
    if (!thread) return (int)GetLastError();
    while (!InterlockedCompareExchange(&t.begun, 0, 0)) SwitchToThread();
    /* Half of them end in a later call than their first, which may have to signal. */
    while (round % 2 && !InterlockedCompareExchange64(&t.calls, 0, 0)) SwitchToThread();
    x = x * 1103515245u + 12345u;
    for (n = x >> 16 & 4095; n; n = n - 1) {
    }
    if (!TerminateThread(thread, 0)) return (int)GetLastError();
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    *calls += (uint64_t)t.calls;
  }
  return 0;
}
