/*
 * Commands under way for evicted pages: pages and compressed objects going out, pages coming in,
 * and what becomes of them when a command completes.
 *
 * A command belongs to one space. Its frames are pinned; a shared one is held by a reference, so
 * that several of its sharers can leave at once. A page's entry names the command and the page's
 * place in it where it is absent (LOADING, ZIPPED_WRITING), and where it is present (WRITING,
 * SHARED_WRITING) its frame is proof enough: a pinned frame is not evicted again, nor given to
 * another page, and a shared one's bytes are the same in whichever slot. Completion looks at each
 * page under its region's lock and acts only if it is still as the command left it. Whatever the
 * outcome, waiting vCPUs are woken.
 */
#ifndef MM_RECLAIM_EVICT_IO_H
#define MM_RECLAIM_EVICT_IO_H

#include "mm/fault/fault.h"
#include "mm/swap/swap.h"

/* Set aside the frames that compressed objects leave through. E_NOMEM. */
must_check err_t evict_io_init(void);

/* Of a LOADING entry's payload: the frame under read. Locks: region held. */
pfn_t evict_io_frame(u64 payload);
/* Of a ZIPPED_WRITING entry's payload: the object. Locks: region held. */
u64 evict_io_handle(u64 payload);

/**
 * Start reading @gfn, whose @entry is SWAPPED, into @frame, with neighbours that were written
 * beside it where memory allows. Where @access says that a write waits for it, it will be PRIVATE,
 * or else CLEAN; where it says FAULT_FETCH, all that comes along is wanted.
 * Returns FAULT_WAIT with the entry LOADING (the frame is the entry's), or as it was (no record
 * free, or its slot busy; the caller keeps the frame); FAULT_CORRUPT (the disk is dead; likewise).
 * Locks: region held.
 */
must_check enum fault_result evict_io_read(
	struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, u32 access);

/* A command lets go of a page's frame: of its pin, or of its reference to a shared one. */
void evict_io_let_go(pfn_t frame);

/**
 * Write the pages of @io, whose .gfn, .frame and .bytes are set: WRITING and pinned, or
 * SHARED_WRITING and referenced, no CPU can write them without a fault. As many as there are slots
 * for; the others are the guest's own again. The record is given back in the end. Returns how many
 * are under way. Locks: none held.
 */
u32 evict_io_write(struct space *space, struct swap_io *io);

/**
 * Start writing @space's coldest compressed objects to its swap file as they are, through frames
 * set aside; the cache gets its room back when they are written. Returns how many are under way; 0:
 * no object, no record, no frame or no slot. Locks: none held.
 */
u32 evict_io_write_objects(struct space *space);

/* What was read into @page->frame may be a compressed object: make it a page, in place. E_CORRUPT.
 */
must_check err_t evict_io_unfold(const struct swap_page *page);

/* Pages now being written out, of all spaces; most of them will be free frames soon, shared ones
 * with their last. */
u64 evict_io_pages_leaving(void);
/* Is anything being written out, objects too? */
bool evict_io_is_writing(void);

#endif
