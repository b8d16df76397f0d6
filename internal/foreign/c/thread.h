/* One way to start, join and order threads on POSIX systems and Windows, for all the C of the tests. It includes nothing of
 * this project, but for Windows: there a header of this project, which includes windows.h, comes first. */
#ifndef FOREIGN_THREAD_H
#define FOREIGN_THREAD_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
typedef HANDLE foreign_thread;
typedef CRITICAL_SECTION foreign_mutex;
typedef CONDITION_VARIABLE foreign_cond;
#define foreign_mutex_init(m) InitializeCriticalSection(m)
#define foreign_lock(m) EnterCriticalSection(m)
#define foreign_unlock(m) LeaveCriticalSection(m)
#define foreign_cond_init(c) InitializeConditionVariable(c)
#define foreign_wait(c, m) SleepConditionVariableCS(c, m, INFINITE)
#define foreign_wake(c) WakeAllConditionVariable(c)
#define foreign_yield() SwitchToThread()
#else
#include <pthread.h>
#include <sched.h>
typedef pthread_t foreign_thread;
typedef pthread_mutex_t foreign_mutex;
typedef pthread_cond_t foreign_cond;
#define foreign_mutex_init(m) pthread_mutex_init(m, 0)
#define foreign_lock(m) pthread_mutex_lock(m)
#define foreign_unlock(m) pthread_mutex_unlock(m)
#define foreign_cond_init(c) pthread_cond_init(c, 0)
#define foreign_wait(c, m) pthread_cond_wait(c, m)
#define foreign_wake(c) pthread_cond_broadcast(c)
#define foreign_yield() sched_yield()
#endif
#ifdef __linux__
#include <sys/prctl.h>
#define foreign_name_() prctl(PR_SET_NAME, "foreign") /* a test looks for this name in /proc */
#else
#define foreign_name_()
#endif

/* ---- start and join ---- */

typedef struct {
  void (*run)(void *);
  void *argument;
} foreign_start_;

#ifdef _WIN32
static DWORD WINAPI foreign_main_(LPVOID p) {
#else
static void *foreign_main_(void *p) {
#endif
  foreign_start_ s = *(foreign_start_ *)p;
  free(p);
  foreign_name_();
  s.run(s.argument);
  return 0;
}

/* Returns 0 or an errno. */
static inline int foreign_start(foreign_thread *t, void (*run)(void *), void *argument) {
  foreign_start_ *s = (foreign_start_ *)malloc(sizeof *s);
  int err = 0;
  if (!s) return ENOMEM;
  s->run = run;
  s->argument = argument;
#ifdef _WIN32
  *t = CreateThread(NULL, 0, foreign_main_, s, 0, NULL);
  if (!*t) err = EAGAIN;
#else
  err = pthread_create(t, 0, foreign_main_, s);
#endif
  if (err) free(s);
  return err;
}

static inline void foreign_join(foreign_thread t) {
#ifdef _WIN32
  WaitForSingleObject(t, INFINITE);
  CloseHandle(t);
#else
  pthread_join(t, 0);
#endif
}

#endif
