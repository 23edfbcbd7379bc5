/* Pages coming in: which are read with one command, and what becomes of them. */
#include "mm/reclaim/evict_read.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evicted.h"
#include "mm/reclaim/read_ahead.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"

#define GFN_HINT_MASK BITS(27, 0) /* what a slot knows of a page number: struct swap_run */

/* Region held; the page waits for this. If it cannot be read, whoever touches it is told so. */
static void page_arrive(struct space *space, u64 *entry, struct swap_page *page)
{
	const struct slat_format *f = space->format;
	err_t err = page->result;

	if (!err)
		err = evict_io_unfold(page);
	if (err) {
		slat_set_absent(
			entry, slat_make_absent(f, PAGE_SWAPPED, page->slot | SWAPPED_LOST));
		space_count_state(space, PAGE_LOADING, PAGE_SWAPPED, 1);
		frame_put(page->frame);
		return;
	}
	if (page->is_for_write) {
		/* As the write would find it: this saves the guest an exit. */
		swap_slot_free(space->swap, page->slot);
		slat_set_absent(entry,
			slat_make_leaf(f, page->frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false));
		space_count_state(space, PAGE_LOADING, PAGE_PRIVATE, 1);
		return;
	}
	frame_set_owner(page->frame, clean_owner_word(page->slot));
	if (page->came_along)
		reclaim_age_unwanted(space, page->frame);
	slat_set_absent(
		entry, slat_make_leaf(f, page->frame, SPACE_RIGHTS_READ_ONLY, PAGE_CLEAN, false));
	space_count_state(space, PAGE_LOADING, PAGE_CLEAN, 1);
}

static void page_read(struct space *space, struct swap_io *io, u32 index)
{
	struct swap_page *page = &io->pages[index];

	spin_lock(space_region_lock(space, page->gfn));
	u64 *entry = space_page_entry(space, page->gfn);

	if (evict_io_is_absent_as(space, entry, PAGE_LOADING, evict_io_payload(io, index)))
		page_arrive(space, entry, page);
	else
		swap_slot_free(space->swap, page->slot);
	spin_unlock(space_region_lock(space, page->gfn));
}

static void reading_done(struct swap_io *io)
{
	struct space *space = io->context;

	for (u32 i = 0; i < io->page_count; i++) {
		if (!io->orphaned)
			page_read(space, io, i);
		frame_unpin(io->pages[i].frame);
	}
	if (!io->orphaned) {
		latency_note(&space->swap_in, platform_now_ns() - io->began_ns);
		platform_wake(space);
	}
	swap_io_give(io);
	reclaim_wake();
}

/* What is to be read with one command: slots beside each other, and a frame for each. */
struct window {
	struct swap_run run;
	pfn_t frames[SWAP_CLUSTER_PAGES]; /* by place in the run */
	u32 first, end;                   /* of the run, those that are read */
};

/* Region held. Can the page of the slot at @place come along? Its entry decides. */
static bool neighbour_take(struct space *space, gfn_t gfn, struct window *w, u32 place)
{
	gfn_t other = GFN((gfn.v & ~GFN_HINT_MASK) | (w->run.gfns[place].v & GFN_HINT_MASK));

	if (other.v / REGION_PAGE_COUNT != gfn.v / REGION_PAGE_COUNT ||
		!evict_io_is_absent_as(space, space_page_entry(space, other), PAGE_SWAPPED,
			w->run.first + place) ||
		!reclaim_is_plentiful() || !promise_allows(space, w->end - w->first + 1, true))
		return false;
	w->run.gfns[place] = other;
	w->frames[place] = frame_alloc(FRAME_PRIVATE);
	if (pfn_is_none(w->frames[place]))
		return false;
	frame_set_owner(w->frames[place], space_owner_word(space, other));
	return true;
}

/* Region held. Around @slot, which is @gfn's. */
static void window_open(
	struct space *space, gfn_t gfn, u64 slot, pfn_t frame, u32 reach, struct window *w)
{
	swap_neighbours(space->swap, slot, reach, &w->run);
	w->first = (u32)(slot - w->run.first);
	w->end = w->first + 1;
	w->run.gfns[w->first] = gfn;
	w->frames[w->first] = frame;
	while (w->end < w->run.count && neighbour_take(space, gfn, w, w->end))
		w->end++;
	while (w->first > 0 && neighbour_take(space, gfn, w, w->first - 1))
		w->first--;
}

/* @frame: of the page that is wanted; PFN_NONE: all are. */
static void io_fill(struct space *space, struct swap_io *io, const struct window *w, pfn_t frame)
{
	io->page_count = w->end - w->first;
	io->context = space;
	io->done = reading_done;
	io->began_ns = platform_now_ns();
	for (u32 i = 0; i < io->page_count; i++) {
		io->pages[i] = (struct swap_page){.gfn = w->run.gfns[w->first + i],
			.frame = w->frames[w->first + i],
			.slot = w->run.first + w->first + i,
			.bytes = PAGE_BYTES,
			.came_along = !pfn_is_none(frame) && w->frames[w->first + i].v != frame.v};
		frame_pin(io->pages[i].frame);
	}
}

/* Region held. All of @io's pages, from @from to @to. */
static void pages_turn(
	struct space *space, const struct swap_io *io, enum page_state from, enum page_state to)
{
	for (u32 i = 0; i < io->page_count; i++) {
		u64 payload = to == PAGE_LOADING ? evict_io_payload(io, i) : io->pages[i].slot;

		slat_set_absent(space_page_entry(space, io->pages[i].gfn),
			slat_make_absent(space->format, to, payload));
	}
	space_count_state(space, from, to, io->page_count);
}

enum fault_result evict_read(struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, u32 access)
{
	bool is_fetch = access & FAULT_FETCH;
	u64 slot = slat_payload(slat_load(entry));
	struct window window;
	struct swap_io *io;

	/* A busy slot is being looked at (space_peek.h): what is read there is not for the guest.
	 */
	io = swap_slot_is_busy(space->swap, slot) ? NULL : swap_io_take(false);
	if (!io) {
		reclaim_wait(space);
		return FAULT_WAIT;
	}
	window_open(space, gfn, slot, frame, is_fetch ? READ_AHEAD_MOST : read_ahead_reach(space),
		&window);
	io_fill(space, io, &window, is_fetch ? PFN_NONE : frame);
	io->pages[slot - io->pages[0].slot].is_for_write = access & SLAT_WRITE;
	pages_turn(space, io, PAGE_SWAPPED, PAGE_LOADING);
	if (!is_fetch) {
		space_count(space, read_ahead, io->page_count - 1);
		read_ahead_came(space, io->page_count - 1);
	}
	if (swap_read(space->swap, io) == E_OK)
		return FAULT_WAIT;
	pages_turn(space, io, PAGE_LOADING, PAGE_SWAPPED);
	for (u32 i = 0; i < io->page_count; i++) {
		frame_unpin(io->pages[i].frame);
		if (io->pages[i].frame.v != frame.v)
			frame_free(io->pages[i].frame);
	}
	swap_io_give(io);
	return FAULT_CORRUPT;
}
