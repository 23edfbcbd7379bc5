/*
 * A region can be joined when its 512 frames lie in one aligned 2 MiB run, in order. After a split
 * that nothing came of they still do. Else a free run is taken, and the pages move there, a few at
 * a time: clear their entries, flush, copy, set them. Each page that has moved is an ordinary page
 * at another place, so between two slices anything may happen to the region: what is found there
 * is looked at afresh, and at worst the rest of the run is given back.
 *
 * With all of them in place the table gives way to the leaf: clear, flush, set. A and D are read
 * after the flush, when no CPU can set them any more.
 */
#include "mm/space/space_join.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/platform.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"
#include "mm/base/str.h"

#define BATCH_PAGES 8u

/* May a page's entry be one of many in a leaf? Region held. */
static bool is_own(const struct space *space, u64 leaf)
{
	const struct slat_format *f = space->format;

	return slat_is_present(f, leaf) && slat_state(f, leaf) == PAGE_PRIVATE &&
	       (leaf & f->write_bit) && frame_pin_count(slat_pfn(f, leaf)) == 0;
}

static bool all_own(const struct space *space, const u64 *entries)
{
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++) {
		if (!is_own(space, slat_load(&entries[i])))
			return false;
	}
	return true;
}

static bool all_in_place(const struct space *space, const u64 *entries)
{
	u64 first = slat_pfn(space->format, slat_load(&entries[0])).v;

	if (!IS_ALIGNED(first, (u64)REGION_PAGE_COUNT))
		return false;
	for (u32 i = 1; i < REGION_PAGE_COUNT; i++) {
		if (slat_pfn(space->format, slat_load(&entries[i])).v != first + i)
			return false;
	}
	return true;
}

/* Region held; all are own and in place. */
static void table_replace(struct space *space, u64 *region, const u64 *entries)
{
	const struct slat_format *f = space->format;
	u64 table = slat_exchange(region, 0), used = 0;

	tlb_flush(&space->tlb);
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++)
		used |= slat_load(&entries[i]) & (f->accessed_bit | f->dirty_bit);
	pfn_t first = slat_pfn(f, slat_load(&entries[0]));

	slat_set_absent(region,
		slat_make_leaf(f, first, space_large_rights(space), PAGE_PRIVATE, true) | used);
	space_table_give(space, slat_pfn(f, table));
	space_count(space, large_leaves, 1);
	space_count(space, joins, 1);
}

/* Region held; the entry's page is absent and flushed. */
static void page_move(struct space *space, gfn_t gfn, u64 *entry, u64 old, pfn_t to)
{
	const struct slat_format *f = space->format;
	pfn_t from = slat_pfn(f, old);

	memcpy(platform_frame_va(to), platform_frame_va(from), PAGE_BYTES);
	frame_set_kind(to, FRAME_PRIVATE);
	frame_set_owner(to, space_owner_word(space, gfn));
	/* Without SEEN: the hint to these bytes names the old frame. */
	slat_set_absent(entry, slat_make_leaf(f, to, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false) |
				       (old & (f->accessed_bit | f->dirty_bit | SLAT_WALKED)));
	frame_free(from);
}

/* Region held; all are own. Its next few pages move into the run. */
static void pages_move(struct space *space, gfn_t first, u64 *entries)
{
	struct space_join *j = &space->join;
	u32 count = min(BATCH_PAGES, (u32)REGION_PAGE_COUNT - j->moved);
	u64 old[BATCH_PAGES];

	for (u32 i = 0; i < count; i++)
		old[i] = slat_exchange(&entries[j->moved + i], 0);
	tlb_flush(&space->tlb);
	space_count(space, join_moves, count);
	for (u32 i = 0; i < count; i++, j->moved++)
		page_move(space, GFN(first.v + j->moved), &entries[j->moved], old[i],
			PFN(j->run.v + j->moved));
}

/* Lock held. Gives back what is left of the run. */
static void run_drop(struct space_join *j)
{
	if (!pfn_is_none(j->run))
		frame_free_run(PFN(j->run.v + j->moved), REGION_PAGE_COUNT - j->moved);
	j->run = PFN_NONE;
	j->moved = 0;
}

/* Sets a run aside. False: there is none, or memory would not be plentiful any more. */
static bool run_take(struct space *space)
{
	struct space_join *j = &space->join;

	if (!pfn_is_none(j->run))
		return true;
	j->run = frame_alloc_large(FRAME_JOIN);
	if (!pfn_is_none(j->run) && !memsched_large_pages_ok())
		run_drop(j);
	return !pfn_is_none(j->run);
}

enum step { STEP_NEXT_REGION, STEP_SAME_REGION, STEP_END };

/* Region held. */
static enum step region_join(struct space *space, gfn_t first)
{
	u64 *region = space_region_entry(space, first);
	u64 *entries = space_page_entry(space, first);

	/* Where large leaves cannot be executed it would be split again at once. */
	if (!entries || (space->large_pages_no_exec && (slat_load(region) & SLAT_FETCHED)) ||
		!all_own(space, entries))
		return STEP_NEXT_REGION;
	if (all_in_place(space, entries)) {
		table_replace(space, region, entries);
		return STEP_NEXT_REGION;
	}
	/* All have moved, and some have moved on. */
	if (space->join.moved == REGION_PAGE_COUNT)
		return STEP_NEXT_REGION;
	if (!run_take(space))
		return STEP_END;
	pages_move(space, first, entries);
	return STEP_SAME_REGION;
}

static enum step join_step(struct space *space)
{
	gfn_t first = space_page_gfn(space, space->join.next_region * REGION_PAGE_COUNT);

	spin_lock(space_region_lock(space, first));
	enum step step = region_join(space, first);

	spin_unlock(space_region_lock(space, first));
	if (step == STEP_NEXT_REGION) {
		run_drop(&space->join);
		space->join.next_region++;
	}
	return step;
}

/* Lock held. Whether the walk has ended. */
static bool walk_some(struct space *space, u64 most_ns)
{
	u64 end_ns = platform_now_ns() + most_ns;
	/* The last one may be less than 2 MiB. */
	u64 whole_regions = space->page_count / REGION_PAGE_COUNT;

	while (space->large_pages && space->join.next_region < whole_regions &&
		memsched_large_pages_ok() && join_step(space) != STEP_END) {
		if (platform_now_ns() >= end_ns)
			return false;
	}
	run_drop(&space->join);
	space->join.next_region = 0;
	return true;
}

bool space_join_some(struct space *space, u64 most_ns)
{
	if (!spin_trylock(&space->join.lock))
		return false;
	bool ended = walk_some(space, most_ns);

	spin_unlock(&space->join.lock);
	return ended;
}

void space_join_drop(struct space *space)
{
	spin_lock(&space->join.lock);
	run_drop(&space->join);
	spin_unlock(&space->join.lock);
}
