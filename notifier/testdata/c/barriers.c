/* What cbarrier_test.go takes apart: one call of notifier_notify, whose rare half is notifier_steps_. */
#include "notifier.h"
int call_notify(notifier_handle h);
int call_notify(notifier_handle h) { return notifier_notify(h); }
