/*
 * How many pages a read from a swap file brings along: as many as are used. A page that came along
 * looks as if it had not been used for the longest time (reclaim_age.h), so that it is the first to
 * go again unless somebody uses it; that it goes so is told here. Where most of them do, reads look
 * less far ahead, down to nothing but a trial now and then; where most are used, further again.
 *
 * All figures are estimates of a space's own: what CPUs do at the same moment may be counted once.
 * Locks: the page's region, or none.
 */
#ifndef MM_RECLAIM_READ_AHEAD_H
#define MM_RECLAIM_READ_AHEAD_H

#include "mm/space/space.h"

#define READ_AHEAD_MOST 8u /* pages */

/* How many pages the next read of @space takes at most, the one that is wanted among them. */
u32 read_ahead_reach(struct space *space);

/* So many came along with a page that was wanted. */
void read_ahead_came(struct space *space, u32 pages);

/* The page of @frame, CLEAN and without its A bit, goes. */
void read_ahead_leaves(struct space *space, pfn_t frame);

#endif
