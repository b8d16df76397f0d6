/* Includes the header and uses nothing of it. */
#include "notifier.h"
