/* Looking at absent pages: see space_peek.h. A slot that is freed meanwhile is still read as it
 * was. */
#include "mm/space/space_peek.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evicted.h"
#include "mm/frame/frame.h"
#include "mm/reclaim/reclaim.h"
#include "mm/space/space_entry.h"
#include "mm/zcache/zcache.h"

static void reading_done(struct swap_io *io)
{
	struct space_peek *peek = io->context;
	err_t result = io->orphaned ? E_NOTFOUND : io->pages[0].result;

	if (!result)
		result = evict_io_unfold(&io->pages[0]);
	swap_io_give(io);
	reclaim_wake();
	peek->done(peek, result);
}

/* Region held. */
static err_t slot_peek(struct space *space, gfn_t gfn, u64 payload, struct space_peek *peek)
{
	if (payload & SWAPPED_LOST)
		return E_CORRUPT;
	struct swap_io *io = NULL;

	if (!swap_slot_is_busy(space->swap, payload))
		io = swap_io_take(false);
	if (!io)
		return E_BUSY;
	io->page_count = 1;
	io->pages[0] = (struct swap_page){
		.gfn = gfn, .frame = peek->to, .slot = payload, .bytes = PAGE_BYTES};
	io->context = peek;
	io->done = reading_done;
	if (swap_read(space->swap, io)) {
		swap_io_give(io);
		return E_IO;
	}
	return E_WAIT;
}

/* Region held. */
static err_t page_peek(struct space *space, gfn_t gfn, u64 entry, struct space_peek *peek)
{
	u64 payload = slat_payload(entry);

	switch (slat_state(space->format, entry)) {
	case PAGE_ZIPPED:
		if (!(payload & ZIPPED_FILL))
			return zcache_load(space->zcache, payload, peek->to);
		evicted_fill(peek->to, (u32)payload);
		return E_OK;
	case PAGE_ZIPPED_WRITING:
		return zcache_load(space->zcache, evict_io_handle(payload), peek->to);
	case PAGE_SWAPPED:
		return slot_peek(space, gfn, payload, peek);
	case PAGE_LOADING:
		return E_BUSY;
	default:
		return E_EXIST;
	}
}

err_t space_peek(struct space *space, gfn_t gfn, struct space_peek *peek)
{
	pfn_t frame;

	if (!space_is_ram(space, gfn))
		return E_RANGE;
	spin_lock(space_region_lock(space, gfn));
	err_t err = page_peek(space, gfn, space_leaf(space, gfn, &frame), peek);

	spin_unlock(space_region_lock(space, gfn));
	if (err == E_OK || err == E_WAIT)
		space_count(space, peeked, 1);
	return err;
}
