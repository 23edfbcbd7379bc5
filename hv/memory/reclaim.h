/*
 * When memory is reclaimed, and brought back: some slices of 100 us each time a scheduler's loop
 * comes round while memory is short, on any CPU but one at a time, with the VMs' lives held still;
 * and the console's command for one VM. Locks of both slices: the lives lock.
 */
#ifndef HV_MEMORY_RECLAIM_H
#define HV_MEMORY_RECLAIM_H

#include "mm/base/types.h"

/* Some work, if any is due; whether there is more. */
bool reclaim_turn(void);

/* A slice of what is to be brought back ahead of need; whether there was some. */
bool fetch_slice(void);

/* reclaim NAME SIZE */
void command_reclaim(u32 count, char **words);

#endif
