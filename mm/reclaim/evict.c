/*
 * Choosing marks, flushing makes sure, deciding frees: see evict.h. A pin of its own on each frame
 * tells the batch that what it finds hidden is what it has hidden, for nobody hides, evicts or
 * reuses a pinned frame.
 */
#include "mm/reclaim/evict.h"
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evict_write.h"
#include "mm/reclaim/evict_objects.h"
#include "mm/reclaim/evict_worth.h"
#include "mm/reclaim/evicted.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/reclaim/read_ahead.h"
#include "mm/share/share.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/zcache/zcache.h"

#define REFUSED_MOST 256u
#define REST_NS      100000000ull

void evict_begin(struct evict_batch *batch, struct space *space)
{
	batch->number = space->number;
	batch->serial = space->serial;
	batch->count = batch->next = 0;
	batch->cache_is_full = false;
	batch->io = space->swap ? swap_io_take(true) : NULL;
	if (batch->io)
		batch->io->page_count = 0;
	tlb_gather_start(&batch->gather, &space->tlb);
	/* What faults have left since the last batch. */
	if (space->zcache)
		zcache_compact(space->zcache, EVICT_BATCH_PAGES);
}

/* Region held. */
static void hide(struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, struct evict_batch *batch)
{
	if (slat_state(space->format, slat_load(entry)) == PAGE_PRIVATE) {
		slat_exchange(entry, slat_make_absent(space->format, PAGE_HIDDEN, frame.v));
		space_count_state(space, PAGE_PRIVATE, PAGE_HIDDEN, 1);
		tlb_gather_note(&batch->gather);
	}
	frame_pin(frame);
	batch->pages[batch->count].gfn = gfn;
	batch->pages[batch->count++].frame = frame;
}

/* Region held. A CLEAN page goes: the slot has it. */
static void drop_clean(struct space *space, u64 *entry, pfn_t frame, struct evict_batch *batch)
{
	u64 slot = owner_word_slot(frame_owner(frame));

	if (!(slat_load(entry) & space->format->accessed_bit))
		read_ahead_leaves(space, frame);
	slat_exchange(entry, slat_make_absent(space->format, PAGE_SWAPPED, slot));
	space_count_state(space, PAGE_CLEAN, PAGE_SWAPPED, 1);
	space_count(space, evicted_clean, 1);
	tlb_gather_put(&batch->gather, frame);
}

/* Region held. The page, read-only from now on, joins the command. A shared one's bytes stay as
 * they are. */
static void join_command(struct space *space, gfn_t gfn, u64 *entry, enum page_state from,
	pfn_t frame, struct evict_batch *batch)
{
	enum page_state to = from == PAGE_SHARED ? PAGE_SHARED_WRITING : PAGE_WRITING;

	slat_exchange(
		entry, slat_make_leaf(space->format, frame, SPACE_RIGHTS_READ_ONLY, to, false));
	space_count_state(space, from, to, 1);
	batch->io->pages[batch->io->page_count++] =
		(struct swap_page){.gfn = gfn, .frame = frame, .bytes = PAGE_BYTES};
}

static bool command_has_room(const struct space *space, const struct evict_batch *batch)
{
	return batch->io && batch->io->page_count < space->swap->volume->cluster_pages;
}

enum evict_taken evict_choose(struct space *space, gfn_t gfn, u64 *entry, struct evict_batch *batch)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	enum page_state state = slat_state(f, leaf);
	pfn_t frame = state == PAGE_HIDDEN ? PFN(slat_payload(leaf)) : slat_pfn(f, leaf);

	if (state != PAGE_PRIVATE && state != PAGE_HIDDEN && state != PAGE_CLEAN &&
		state != PAGE_SHARED)
		return EVICT_NOT;
	if (frame_pin_count(frame) || fault_guard_covers(space, gfn))
		return EVICT_NOT;
	if (state == PAGE_CLEAN) {
		drop_clean(space, entry, frame, batch);
		return EVICT_GONE;
	}
	if (state != PAGE_SHARED) {
		hide(space, gfn, entry, frame, batch);
		return EVICT_CHOSEN;
	}
	if (!command_has_room(space, batch))
		return EVICT_FULL;
	frame_get(frame); /* not a pin, which would keep its other sharers from leaving */
	join_command(space, gfn, entry, PAGE_SHARED, frame, batch);
	tlb_gather_note(&batch->gather); /* its A bit is to be seen if it is used from now on */
	return EVICT_CHOSEN;
}

u32 evict_chosen(const struct evict_batch *batch)
{
	/* Shared ones are with the command already. */
	return batch->count + (batch->io ? batch->io->page_count : 0);
}

void evict_flush(struct evict_batch *batch)
{
	tlb_gather_finish(&batch->gather);
}

/* Is the page filled with one 32-bit value? */
static bool is_filled(pfn_t frame, u32 *value)
{
	const u64 *words = platform_frame_va(frame);
	u64 first = words[0];

	if ((u32)first != (u32)(first >> 32))
		return false;
	for (u32 i = 1; i < PAGE_BYTES / sizeof(u64); i++) {
		if (words[i] != first)
			return false;
	}
	*value = (u32)first;
	return true;
}

static bool can_be_swapped(const struct space *space, const struct evict_batch *batch)
{
	return command_has_room(space, batch) && swap_volume_is_usable(space->swap->volume) &&
	       swap_file_used(space->swap) < space->swap->slot_count;
}

/* Region held; the page is hidden and cannot change. Its entry, if a shared frame is the same. */
static bool shared_entry(
	struct space *space, pfn_t frame, const struct evict_batch *batch, u64 *out)
{
	bool is_last_way = !space->zcache && !can_be_swapped(space, batch), found;

	if (!share_is_on(space) || (!is_last_way && !evict_is_worth_it(&space->share_worth)))
		return false;
	found = share_instead(space, frame, out);
	evict_worth_note(&space->share_worth, found);
	space_count(space, evict_hashed, 1);
	if (found)
		space_count(space, evicted_shared, 1);
	return found;
}

/* Likewise. What its entry is to be if it needs no frame of its own. */
static bool frameless_entry(
	struct space *space, gfn_t gfn, pfn_t frame, struct evict_batch *batch, u64 *out)
{
	u64 handle;
	u32 value;

	if (is_filled(frame, &value)) {
		*out = value ? slat_make_absent(space->format, PAGE_ZIPPED, ZIPPED_FILL | value)
			     : 0;
		if (value)
			space_count(space, evicted_fill, 1);
		else
			space_count(space, evicted_zero, 1);
		return true;
	}
	if (shared_entry(space, frame, batch, out))
		return true;
	if (!space->zcache ||
		(can_be_swapped(space, batch) && !evict_is_worth_it(&space->zip_worth)))
		return false;
	err_t err = zcache_store(space->zcache, gfn, frame, &handle);

	evict_worth_note(&space->zip_worth, err != E_RANGE);
	batch->cache_is_full = batch->cache_is_full || err == E_LIMIT;
	if (err)
		return false;
	*out = slat_make_absent(space->format, PAGE_ZIPPED, handle);
	space_count(space, evicted_zip, 1);
	return true;
}

/* Cache and swap file are full, it seems: try no more for a while. */
static void note_refused(struct space *space)
{
	if (__atomic_add_fetch(&space->refused_in_row, 1, __ATOMIC_RELAXED) < REFUSED_MOST)
		return;
	__atomic_store_n(&space->refused_in_row, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&space->rests_until_ns, platform_now_ns() + REST_NS, __ATOMIC_RELAXED);
}

/* Region held. Nothing came of it. It counts as used, or it would be the first to be chosen again.
 */
static void unhide(struct space *space, gfn_t gfn, u64 *entry, pfn_t frame)
{
	const struct slat_format *f = space->format;

	frame_set_owner(frame, space_owner_word(space, gfn));
	slat_set_absent(entry, slat_make_leaf(f, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false) |
				       f->accessed_bit | f->dirty_bit);
	space_count_state(space, PAGE_HIDDEN, PAGE_PRIVATE, 1);
	space_count(space, evict_refused, 1);
	/* With a swap file all that lacks is a command's record, or room in it. */
	if (!space->swap)
		note_refused(space);
}

/* Region held. Returns whether the frame is free of its page; the pin is still there. */
static bool page_decide(
	struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, struct evict_batch *batch)
{
	u64 gone;

	if (frameless_entry(space, gfn, frame, batch, &gone)) {
		space_count_state(space, PAGE_HIDDEN, slat_state(space->format, gone), 1);
		slat_set_absent(entry, gone);
		__atomic_store_n(&space->refused_in_row, 0, __ATOMIC_RELAXED);
		return true;
	}
	if (command_has_room(space, batch))
		join_command(space, gfn, entry, PAGE_HIDDEN, frame, batch);
	else
		unhide(space, gfn, entry, frame);
	return false;
}

static void page_evict(struct space *space, gfn_t gfn, pfn_t frame, struct evict_batch *batch)
{
	bool is_free = false, is_written = false;

	spin_lock(space_region_lock(space, gfn));
	u64 *entry = space_page_entry(space, gfn);

	if (entry && slat_load(entry) == slat_make_absent(space->format, PAGE_HIDDEN, frame.v)) {
		is_free = page_decide(space, gfn, entry, frame, batch);
		is_written =
			!is_free && slat_state(space->format, slat_load(entry)) == PAGE_WRITING;
	} else {
		space_count(space, evict_kept, 1);
	}
	spin_unlock(space_region_lock(space, gfn));
	if (is_written)
		return; /* the command has the pin now */
	frame_unpin(frame);
	if (is_free)
		frame_free(frame);
}

/* The space is gone, and the pages with it: their frames are the pins' alone. */
static void abandon(struct evict_batch *batch)
{
	for (; batch->next < batch->count; batch->next++)
		frame_unpin(batch->pages[batch->next].frame);
	for (u32 i = 0; batch->io && i < batch->io->page_count; i++)
		evict_io_let_go(batch->io->pages[i].frame);
	if (batch->io)
		swap_io_give(batch->io);
	batch->io = NULL;
}

static void finish(struct evict_batch *batch, struct space *space)
{
	struct swap_io *io = batch->io;
	u32 given = io ? io->page_count : 0;
	u32 taken = given ? evict_write(space, io) : 0;

	if (io && !given)
		swap_io_give(io);
	batch->io = NULL;
	if (taken)
		__atomic_store_n(&space->refused_in_row, 0, __ATOMIC_RELAXED);
	for (u32 i = taken; i < given; i++)
		note_refused(space);
	if (batch->cache_is_full && space->swap)
		evict_objects_write(space);
}

bool evict_some(struct evict_batch *batch, struct space *space, u64 end_ns)
{
	if (!space) {
		abandon(batch);
		return true;
	}
	while (batch->next < batch->count) {
		u32 at = batch->next++;

		page_evict(space, batch->pages[at].gfn, batch->pages[at].frame, batch);
		if (platform_now_ns() >= end_ns && batch->next < batch->count)
			return false;
	}
	finish(batch, space);
	return true;
}
