/* Pages going out to the swap file. Commands: evict_io.h. */
#ifndef MM_RECLAIM_EVICT_WRITE_H
#define MM_RECLAIM_EVICT_WRITE_H

#include "mm/swap/swap.h"

struct space;

/* Nothing is under way. */
void evict_write_init(void);

/**
 * Write the pages of @io, whose .gfn, .frame and .bytes are set: WRITING and pinned, or
 * SHARED_WRITING and referenced, no CPU can write them without a fault. As many as there are slots
 * for; the others are the guest's own again. The record is given back in the end. Returns how many
 * are under way. Locks: none held.
 */
u32 evict_write(struct space *space, struct swap_io *io);

/* Pages now being written out, of all spaces; most of them will be free frames soon, shared ones
 * with their last. */
u64 evict_write_pages_leaving(void);

#endif
