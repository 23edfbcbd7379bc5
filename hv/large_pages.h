/*
 * Regions that were split are mapped by 2 MiB leaves again where that is possible: slices of
 * 100 us, as many as there is work for in idle time, and one now and then where the CPU is never
 * idle. On the boot CPU, from the scheduler's loop.
 */
#ifndef HV_LARGE_PAGES_H
#define HV_LARGE_PAGES_H

#include "mm/base/types.h"

/* Some work, if any is due; whether there was. @idle: nothing else wants this CPU. */
bool large_pages_work(u64 now_ns, bool idle);

#endif
