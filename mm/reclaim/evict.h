/*
 * Taking pages of one space out of memory, a batch at a time.
 *
 * A chosen page that is the guest's own becomes absent first, keeping its frame (PAGE_HIDDEN) and
 * pinned: any touch simply has it back, and is thereby seen. One flush round serves the batch. Then
 * what is still hidden cannot change: filled with one value it needs no storage; else, where a
 * shared frame has the same bytes, it is mapped to that and not evicted at all; else it goes into
 * the compression cache, if it shrinks to half; else it is mapped read-only (PAGE_WRITING) and
 * joins the batch's command to the swap file. A shared page, which nobody can write, joins that at
 * once (PAGE_SHARED_WRITING). What hardly ever succeeds is seldom tried
 * (evict_worth.h). A page that is CLEAN goes with no I/O, in the same flush round.
 */
#ifndef MM_RECLAIM_EVICT_H
#define MM_RECLAIM_EVICT_H

#include "mm/space/space.h"

#define EVICT_BATCH_PAGES 32u

struct swap_io;

struct evict_batch {
	u32 number; /* the space's */
	u64 serial;
	u32 count, next; /* pages chosen; of them, looked at again; shared ones are in .io */
	struct {
		gfn_t gfn;
		pfn_t frame; /* pinned */
	} pages[EVICT_BATCH_PAGES];
	struct swap_io *io; /* what joined the command; NULL: no record, or no swap file */
	struct tlb_gather gather;
	bool cache_is_full;
};

/* An empty batch. @space is held, or cannot end, until evict_flush(). */
void evict_begin(struct evict_batch *batch, struct space *space);

enum evict_taken {
	EVICT_NOT,    /* not such a page: pinned, protected for a vCPU, not in memory */
	EVICT_CHOSEN, /* in the batch */
	EVICT_FULL,   /* shared, and the batch's command has no room for it */
	EVICT_GONE,   /* it was CLEAN: its frame is free with evict_flush() */
};

/*
 * @entry is @gfn's; put it into the batch if that can be, which is full at EVICT_BATCH_PAGES.
 * Locks: region held.
 */
enum evict_taken evict_choose(
	struct space *space, gfn_t gfn, u64 *entry, struct evict_batch *batch);

/* Pages that were chosen; also before the flush. */
u32 evict_chosen(const struct evict_batch *batch);

/* One flush round for all that was chosen; CLEAN pages' frames are free. Locks: none held. */
void evict_flush(struct evict_batch *batch);

/*
 * Decide on pages of a flushed batch until @end_ns (one is decided in any case), and start the
 * command with the last. @space: the batch's, held, or NULL: it is gone. Returns whether the batch
 * is through. Locks: none held. Cost: a compression a page.
 */
bool evict_some(struct evict_batch *batch, struct space *space, u64 end_ns);

#endif
