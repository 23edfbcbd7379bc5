/*
 * Regions that were split are mapped by 2 MiB leaves again where that is possible, in slices of
 * 100 us from the scheduler's loops.
 */
#ifndef HV_MEMORY_LARGE_PAGES_H
#define HV_MEMORY_LARGE_PAGES_H

#include "mm/base/types.h"

/* A slice of work, if any is due; whether there was. Any CPU; locks: the lives lock. */
bool large_pages_slice(u64 now_ns);

#endif
