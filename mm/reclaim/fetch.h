/*
 * Bringing back what was compressed or swapped before anybody asks for it, when memory is there
 * again: so that no guest stays slow for nothing.
 */
#ifndef MM_RECLAIM_FETCH_H
#define MM_RECLAIM_FETCH_H

#include "mm/space/space.h"

/* Bring back up to @pages of @space from now on; what an earlier order left is forgotten. */
void fetch_order(struct space *space, u64 pages);

/*
 * A slice of that, until about @end_ns: compressed pages at once, swapped ones are read, with those
 * that were written beside them. Stops for good where memory is short of what reclaim aims at, or
 * @space is no longer entitled to more. Returns whether there is more to do just now. One caller at
 * a time for each space. Locks: takes regions'. Cost: a decompression a page, and looking at the
 * entries between.
 */
bool fetch_some(struct space *space, u64 end_ns);

#endif
