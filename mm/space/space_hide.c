/*
 * Hiding pages: a PRIVATE page's entry is made absent while its frame stays where it is, so that
 * the next touch faults, and finds it again.
 *
 * Since the frame and the rights come back as they were, a CPU that still has the old translation
 * does no harm: the flush is there for the touch to be seen, not for safety, and one serves for any
 * number of pages. A pinned page is left alone all the same: who pins it may be a device that marks
 * no entry.
 */
#include "mm/space/space_entry.h"
#include "mm/frame/frame.h"

/* Locks: region held. The caller flushes. */
static bool page_hide(struct space *space, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);
	pfn_t frame = slat_pfn(f, leaf);

	if (!slat_is_present(f, leaf) || slat_state(f, leaf) != PAGE_PRIVATE ||
		frame_pin_count(frame))
		return false;
	slat_exchange(entry, slat_make_absent(f, PAGE_HIDDEN, frame.v));
	space_count_state(space, PAGE_PRIVATE, PAGE_HIDDEN, 1);
	return true;
}

/* The level-1 entry of @gfn, its region split if it must be; NULL if nobody has touched it. */
static u64 *entry_to_hide(struct space *space, gfn_t gfn)
{
	if (slat_is_large(space->format, slat_load(space_region_entry(space, gfn))))
		space_split(space, gfn);
	return space_page_entry(space, gfn);
}

bool space_hide(struct space *space, gfn_t gfn)
{
	if (!space_is_ram(space, gfn))
		return false;
	spin_lock(space_region_lock(space, gfn));
	u64 *entry = entry_to_hide(space, gfn);
	bool hidden = entry && page_hide(space, entry);

	if (hidden)
		tlb_flush(&space->tlb);
	spin_unlock(space_region_lock(space, gfn));
	return hidden;
}

static u64 region_hide(struct space *space, gfn_t first)
{
	u64 hidden = 0;

	spin_lock(space_region_lock(space, first));
	u64 *entry = entry_to_hide(space, first);

	for (u32 i = 0; entry && i < REGION_PAGE_COUNT; i++)
		hidden += page_hide(space, &entry[i]);
	spin_unlock(space_region_lock(space, first));
	return hidden;
}

u64 space_hide_all(struct space *space)
{
	u64 hidden = 0;

	for (u64 index = 0; index < space->page_count; index += REGION_PAGE_COUNT)
		hidden += region_hide(space, space_page_gfn(space, index));
	if (hidden)
		tlb_flush(&space->tlb);
	return hidden;
}
