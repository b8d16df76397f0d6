/* The other translation unit: the header comes before anything else, and is used from an inline function. */
#include "notifier.h"
#ifdef _WIN32
#include <winsock2.h>
#else
#include <unistd.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif
int unit_b(void *handle);
#ifdef __cplusplus
}
#endif

static inline int through(void *handle) { return notifier_notify((notifier_handle)(uintptr_t)handle); }

int unit_b(void *handle) { return through(handle); }
