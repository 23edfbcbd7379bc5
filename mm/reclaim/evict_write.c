/* Pages going out: what is under way, and what becomes of a page when it is written, or is not. */
#include "mm/reclaim/evict_write.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/reclaim.h"
#include "mm/frame/frame.h"
#include "mm/space/space_entry.h"

static u64 pages_leaving; /* [a] */

void evict_write_init(void)
{
	pages_leaving = 0;
}

u64 evict_write_pages_leaving(void)
{
	return __atomic_load_n(&pages_leaving, __ATOMIC_RELAXED);
}

/* Is the page still the one that was mapped read-only to be written out? Region held. */
static bool is_writing(const struct space *space, const u64 *entry, pfn_t frame)
{
	const struct slat_format *f = space->format;
	u64 leaf = entry ? slat_load(entry) : 0;
	enum page_state state = slat_state(f, leaf);

	return slat_is_present(f, leaf) &&
	       (state == PAGE_WRITING || state == PAGE_SHARED_WRITING) &&
	       slat_pfn(f, leaf).v == frame.v;
}

/* Region held. The page has been written; @gather gets its frame where it is not used any more. */
static void page_leave(
	struct space *space, u64 *entry, const struct swap_page *page, struct tlb_gather *gather)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	enum page_state from = slat_state(f, leaf);
	bool shared = from == PAGE_SHARED_WRITING;
	bool in_use = (leaf & f->accessed_bit) || frame_pin_count(page->frame) > (shared ? 0 : 1);

	if (in_use && !shared) {
		frame_set_owner(page->frame, clean_owner_word(page->slot));
		slat_exchange(entry,
			slat_make_leaf(f, page->frame, SPACE_RIGHTS_READ_ONLY, PAGE_CLEAN, false) |
				f->accessed_bit);
		space_count_state(space, PAGE_WRITING, PAGE_CLEAN, 1);
		return;
	}
	if (in_use) {
		swap_slot_free(space->swap, page->slot);
		evicted_keep(space, entry);
		return;
	}
	slat_exchange(entry, slat_make_absent(f, PAGE_SWAPPED, page->slot));
	space_count_state(space, from, PAGE_SWAPPED, 1);
	space_count(space, evicted_swap, 1);
	tlb_gather_put(gather, page->frame);
}

static void page_written(
	struct space *space, const struct swap_page *page, struct tlb_gather *gather)
{
	spin_lock(space_region_lock(space, page->gfn));
	u64 *entry = space_page_entry(space, page->gfn);

	if (!is_writing(space, entry, page->frame)) {
		if (!page->result)
			swap_slot_free(space->swap, page->slot);
	} else if (page->result) {
		evicted_keep(space, entry);
	} else {
		page_leave(space, entry, page, gather);
	}
	spin_unlock(space_region_lock(space, page->gfn));
}

static void writing_done(struct swap_io *io)
{
	struct space *space = io->context;
	struct tlb_gather gather;

	if (!io->orphaned)
		tlb_gather_start(&gather, &space->tlb);
	for (u32 i = 0; i < io->page_count; i++) {
		if (!io->orphaned)
			page_written(space, &io->pages[i], &gather);
		evict_io_let_go(io->pages[i].frame);
	}
	if (!io->orphaned)
		tlb_gather_finish(&gather);
	__atomic_fetch_sub(&pages_leaving, io->page_count, __ATOMIC_RELAXED);
	swap_io_give(io);
	reclaim_wake();
}

/* Pages of @io from @first to @end are not written after all. */
static void pages_keep(struct space *space, const struct swap_io *io, u32 first, u32 end)
{
	for (u32 i = first; i < end; i++) {
		const struct swap_page *page = &io->pages[i];

		spin_lock(space_region_lock(space, page->gfn));
		u64 *entry = space_page_entry(space, page->gfn);

		if (is_writing(space, entry, page->frame))
			evicted_keep(space, entry);
		spin_unlock(space_region_lock(space, page->gfn));
		evict_io_let_go(page->frame);
	}
}

u32 evict_write(struct space *space, struct swap_io *io)
{
	u32 given = io->page_count, taken;

	io->context = space;
	io->done = writing_done;
	taken = swap_slots_take(space->swap, io) == E_OK ? io->page_count : 0;
	pages_keep(space, io, taken, given);
	if (taken) {
		__atomic_fetch_add(&pages_leaving, taken, __ATOMIC_RELAXED);
		if (swap_write(space->swap, io) == E_OK)
			return taken;
		__atomic_fetch_sub(&pages_leaving, taken, __ATOMIC_RELAXED);
		pages_keep(space, io, 0, taken);
	}
	swap_io_give(io);
	return 0;
}
