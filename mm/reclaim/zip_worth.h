/*
 * Whether it is worth it to try to compress a page: where hardly any of a space's pages shrink, an
 * attempt costs as much as the swapping that it seldom saves. A moving average of the last attempts
 * tells; while it is bad, one page in 16 is tried all the same, so that better times are noticed.
 *
 * The figures are estimates: of what CPUs do at the same moment one may be forgotten. Locks: the
 * page's region.
 */
#ifndef MM_RECLAIM_ZIP_WORTH_H
#define MM_RECLAIM_ZIP_WORTH_H

#include "mm/space/space.h"

/* Shall @space's next page be tried, where it can be swapped instead? */
bool zip_is_worth_it(struct space *space);

/* It was; did it shrink enough? */
void zip_worth_note(struct space *space, bool shrank);

#endif
