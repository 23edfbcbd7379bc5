/*
 * Starting and finishing commands.
 *
 * Objects leave through bounce frames, a small number set aside: an object that is being written
 * cannot be moved or dropped under the device otherwise. A free one is linked to the next through
 * its owner word; one in use has its object's handle there.
 */
#include "mm/reclaim/evict_io.h"
#include "mm/reclaim/evicted.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/reclaim/read_ahead.h"
#include "mm/reclaim/reclaim.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/share/share_index.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/zcache/zcache.h"
#include "mm/base/str.h"

#define BOUNCE_FRAMES 64u
#define BOUNCE_END    (~0ull)
#define GFN_HINT_MASK BITS(27, 0) /* what a slot knows of a page number: struct swap_run */

static struct {
	struct spinlock lock;
	u64 head; /* [bounce] free frames */
} bounce;

static u64 pages_leaving;   /* [a] */
static u64 objects_leaving; /* [a] */
static pfn_t decode_frames; /* [I] one for each CPU: where an object is decompressed from */

err_t evict_io_init(void)
{
	spin_init(&bounce.lock, LOCK_RANK_BOUNCE);
	bounce.head = BOUNCE_END;
	pages_leaving = objects_leaving = 0;
	decode_frames = frame_alloc_run(FRAME_HV, platform_cpu_count());
	if (pfn_is_none(decode_frames))
		return E_NOMEM;
	for (u32 i = 0; i < BOUNCE_FRAMES; i++) {
		pfn_t frame = frame_alloc(FRAME_HV);

		if (pfn_is_none(frame))
			return E_NOMEM;
		frame_set_owner(frame, bounce.head);
		bounce.head = frame.v;
	}
	return E_OK;
}

static pfn_t bounce_take(void)
{
	pfn_t frame = PFN_NONE;

	spin_lock(&bounce.lock);
	if (bounce.head != BOUNCE_END) {
		frame = PFN(bounce.head);
		bounce.head = frame_owner(frame);
	}
	spin_unlock(&bounce.lock);
	return frame;
}

static void bounce_give(pfn_t frame)
{
	spin_lock(&bounce.lock);
	frame_set_owner(frame, bounce.head);
	bounce.head = frame.v;
	spin_unlock(&bounce.lock);
}

u64 evict_io_pages_leaving(void)
{
	return __atomic_load_n(&pages_leaving, __ATOMIC_RELAXED);
}

bool evict_io_is_writing(void)
{
	return evict_io_pages_leaving() || __atomic_load_n(&objects_leaving, __ATOMIC_RELAXED);
}

static u64 payload_of(const struct swap_io *io, u32 index)
{
	return (u64)swap_io_number(io) * SWAP_CLUSTER_PAGES + index;
}

static const struct swap_page *page_of(u64 payload)
{
	return &swap_io_find((u32)(payload / SWAP_CLUSTER_PAGES))
			->pages[payload % SWAP_CLUSTER_PAGES];
}

pfn_t evict_io_frame(u64 payload)
{
	return page_of(payload)->frame;
}

u64 evict_io_handle(u64 payload)
{
	return frame_owner(page_of(payload)->frame);
}

static bool is_absent_as(
	const struct space *space, const u64 *entry, enum page_state state, u64 payload)
{
	return entry && slat_load(entry) == slat_make_absent(space->format, state, payload);
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

/* --- Coming in ------------------------------------------------------------------------------- */

err_t evict_io_unfold(const struct swap_page *page)
{
	pfn_t from = PFN(decode_frames.v + platform_cpu_id());

	if (page->bytes == PAGE_BYTES)
		return E_OK;
	memcpy(platform_frame_va(from), platform_frame_va(page->frame), page->bytes);
	return zcache_decode(from, page->bytes, page->frame);
}

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

	if (is_absent_as(space, entry, PAGE_LOADING, payload_of(io, index)))
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
		!is_absent_as(space, space_page_entry(space, other), PAGE_SWAPPED,
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
		u64 payload = to == PAGE_LOADING ? payload_of(io, i) : io->pages[i].slot;

		slat_set_absent(space_page_entry(space, io->pages[i].gfn),
			slat_make_absent(space->format, to, payload));
	}
	space_count_state(space, from, to, io->page_count);
}

enum fault_result evict_io_read(struct space *space, gfn_t gfn, u64 *entry, pfn_t frame, u32 access)
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

/* --- Going out ------------------------------------------------------------------------------- */

void evict_io_let_go(pfn_t frame)
{
	if (frame_kind(frame) == FRAME_SHARED)
		share_index_put(frame);
	else
		frame_unpin(frame);
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

u32 evict_io_write(struct space *space, struct swap_io *io)
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

/* --- Compressed objects going out ------------------------------------------------------------ */

/* Region held. An object's way out is over; where it did not succeed it is in the cache as before.
 */
static void object_leave(struct space *space, struct swap_io *io, u32 index, err_t result)
{
	const struct slat_format *f = space->format;
	const struct swap_page *page = &io->pages[index];
	u64 *entry = space_page_entry(space, page->gfn);
	u64 handle = frame_owner(page->frame);

	if (!is_absent_as(space, entry, PAGE_ZIPPED_WRITING, payload_of(io, index))) {
		if (!result)
			swap_slot_free(space->swap, page->slot);
		return;
	}
	if (result) {
		zcache_put_back(space->zcache, handle);
		slat_set_absent(entry, slat_make_absent(f, PAGE_ZIPPED, handle));
		space_count_state(space, PAGE_ZIPPED_WRITING, PAGE_ZIPPED, 1);
		return;
	}
	slat_set_absent(entry, slat_make_absent(f, PAGE_SWAPPED, page->slot));
	space_count_state(space, PAGE_ZIPPED_WRITING, PAGE_SWAPPED, 1);
	zcache_drop(space->zcache, handle);
	space_count(space, evicted_object, 1);
}

static void objects_end(struct space *space, struct swap_io *io, u32 first, u32 end, err_t failed)
{
	for (u32 i = first; i < end; i++) {
		if (space) {
			spin_lock(space_region_lock(space, io->pages[i].gfn));
			object_leave(space, io, i, failed ? failed : io->pages[i].result);
			spin_unlock(space_region_lock(space, io->pages[i].gfn));
		}
		bounce_give(io->pages[i].frame);
	}
}

static void objects_done(struct swap_io *io)
{
	objects_end(io->orphaned ? NULL : io->context, io, 0, io->page_count, E_OK);
	__atomic_fetch_sub(&objects_leaving, io->page_count, __ATOMIC_RELAXED);
	swap_io_give(io);
	reclaim_wake();
}

/* The coldest object joins @io. False: there is none, or no frame to carry it. */
static bool object_join(struct space *space, struct swap_io *io)
{
	struct zcache_object object;
	pfn_t frame = bounce_take();

	if (pfn_is_none(frame))
		return false;
	if (!zcache_coldest(space->zcache, &object)) {
		bounce_give(frame);
		return false;
	}
	spin_lock(space_region_lock(space, object.gfn));
	u64 *entry = space_page_entry(space, object.gfn);

	if (is_absent_as(space, entry, PAGE_ZIPPED, object.handle)) {
		u32 bytes = zcache_copy(space->zcache, object.handle, frame);

		frame_set_owner(frame, object.handle);
		slat_set_absent(entry, slat_make_absent(space->format, PAGE_ZIPPED_WRITING,
					       payload_of(io, io->page_count)));
		space_count_state(space, PAGE_ZIPPED, PAGE_ZIPPED_WRITING, 1);
		io->pages[io->page_count++] =
			(struct swap_page){.gfn = object.gfn, .frame = frame, .bytes = bytes};
		frame = PFN_NONE;
	}
	spin_unlock(space_region_lock(space, object.gfn));
	/* Else it has left the cache since; the next one, then. */
	if (!pfn_is_none(frame))
		bounce_give(frame);
	return true;
}

u32 evict_io_write_objects(struct space *space)
{
	struct swap_io *io = swap_io_take(true);
	u32 given, taken;

	if (!io)
		return 0;
	io->context = space;
	io->done = objects_done;
	io->page_count = 0;
	for (u32 i = 0; i < space->swap->volume->cluster_pages && object_join(space, io); i++)
		;
	given = io->page_count;
	taken = given && swap_slots_take(space->swap, io) == E_OK ? io->page_count : 0;
	objects_end(space, io, taken, given, E_LIMIT);
	__atomic_fetch_add(&objects_leaving, taken, __ATOMIC_RELAXED);
	if (taken && swap_write(space->swap, io) == E_OK)
		return taken;
	__atomic_fetch_sub(&objects_leaving, taken, __ATOMIC_RELAXED);
	objects_end(space, io, 0, taken, E_IO);
	swap_io_give(io);
	return 0;
}
