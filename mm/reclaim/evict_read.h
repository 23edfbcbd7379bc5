/* Pages coming in from the swap file, with their neighbours. Commands: evict_io.h. */
#ifndef MM_RECLAIM_EVICT_READ_H
#define MM_RECLAIM_EVICT_READ_H

#include "mm/fault/fault.h"

/**
 * Start reading @gfn, whose @entry is SWAPPED, into @frame, with neighbours that were written
 * beside it where memory allows. Where @access says that a write waits for it, it will be PRIVATE,
 * or else CLEAN; where it says FAULT_FETCH, all that comes along is wanted.
 * Returns FAULT_WAIT with the entry LOADING (the frame is the entry's), or as it was (no record
 * free, or its slot busy; the caller keeps the frame); FAULT_CORRUPT (the disk is dead; likewise).
 * Locks: region held.
 */
must_check enum fault_result evict_read(
	struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, u32 access);

#endif
