/*
 * Whether it is worth it to try something with a page before it is swapped: where hardly any of a
 * space's pages shrink, or are elsewhere too, an attempt costs as much as the swapping that it
 * seldom saves. A moving average of the last attempts tells; while it is bad, one page in 16 is
 * tried all the same, so that better times are noticed.
 *
 * The figures are estimates: of what CPUs do at the same moment one may be forgotten. Locks: the
 * page's region.
 */
#ifndef MM_RECLAIM_EVICT_WORTH_H
#define MM_RECLAIM_EVICT_WORTH_H

#include "mm/space/space.h"

/* Shall it be tried with the space's next page, where there is another way? */
bool evict_is_worth_it(struct space_worth *worth);

/* It was; did anything come of it? */
void evict_worth_note(struct space_worth *worth, bool came);

#endif
