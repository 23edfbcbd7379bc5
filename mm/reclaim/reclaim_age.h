/*
 * How long a page has not been used, in sweeps: kept in its frame's owner word.
 */
#ifndef MM_RECLAIM_RECLAIM_AGE_H
#define MM_RECLAIM_RECLAIM_AGE_H

#include "mm/space/space.h"

/*
 * Of a PRIVATE or CLEAN page's frame: 0 (used since the last sweep, or new) .. SPACE_AGES - 2;
 * SPACE_AGES - 1: it came unasked, and was not used since.
 */
u32 reclaim_age(pfn_t frame);

/*
 * Go on with a sweep over @space, or begin one, until @end_ns (a region at least): clears A bits,
 * and ages what had none. Returns whether it ended, with one flush round. Locks: RECLAIM held;
 * takes regions'.
 */
bool reclaim_sweep(struct space *space, u64 end_ns);

/*
 * The age from which pages are to go first: as high as leaves one page in 16 of those in memory to
 * choose from, for finding the last few of the oldest would cost more than they are worth.
 */
u32 reclaim_age_to_evict(const struct space *space);

/* A page of that age is leaving. */
void reclaim_age_gone(struct space *space, u32 age);

/* Region held. The page of @frame came unasked: until it is used it is older than all others. */
void reclaim_age_unwanted(struct space *space, pfn_t frame);

/* Region held. The sweep did not find the page of @frame in use, but somebody sees that it is. */
void reclaim_age_used(struct space *space, pfn_t frame);

#endif
