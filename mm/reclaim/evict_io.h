/*
 * Commands under way for evicted pages, of all kinds: pages coming in (evict_read.c), pages
 * (evict_write.c) and compressed objects (evict_objects.c) going out.
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

#include "mm/space/slat.h"
#include "mm/swap/swap.h"

struct space;

/* Set aside the frames from which objects are decompressed that were read. E_NOMEM. */
must_check err_t evict_io_init(void);

/* The payload of an absent entry that names @io and the page's place in it. */
u64 evict_io_payload(const struct swap_io *io, u32 index);
/* @entry, NULL perhaps, is absent, in @state, with @payload. Locks: region held. */
bool evict_io_is_absent_as(
	const struct space *space, const u64 *entry, enum page_state state, u64 payload);

/* Of a LOADING entry's payload: the frame under read. Locks: region held. */
pfn_t evict_io_frame(u64 payload);
/* Of a ZIPPED_WRITING entry's payload: the object. Locks: region held. */
u64 evict_io_handle(u64 payload);

/* A command lets go of a page's frame: of its pin, or of its reference to a shared one. */
void evict_io_let_go(pfn_t frame);

/* What was read into @page->frame may be a compressed object: make it a page, in place. E_CORRUPT.
 */
must_check err_t evict_io_unfold(const struct swap_page *page);

#endif
