/*
 * Unsharing: after a change of salt, or of what may be shared at all, a walk over the space breaks
 * what it shares under the salt that it has left, as a write would. Each page needs a frame, so it
 * goes on in slices, and waits where there is none.
 */
#include "mm/share/share_batch.h"
#include "mm/reclaim/evicted.h"
#include "mm/platform.h"
#include "mm/reclaim/reclaim.h"
#include "mm/space/space_entry.h"

/* Region held. May this space not share the shared page's frame any more? */
static bool is_stray(const struct space *space, u64 leaf)
{
	return share_index_salt(slat_pfn(space->format, leaf)) != share_salt(space);
}

/* Region held. Returns false where there was no frame. */
static bool page_unshare(struct space *space, gfn_t gfn, u64 *entry)
{
	const struct slat_format *f = space->format;
	u64 leaf = slat_load(entry);

	if (!slat_is_present(f, leaf))
		return true;
	/* On its way out it may come back: its command is told that it comes too late. */
	if (slat_state(f, leaf) == PAGE_SHARED_WRITING && is_stray(space, leaf)) {
		evicted_keep(space, entry);
		leaf = slat_load(entry);
	}
	if (slat_state(f, leaf) == PAGE_SHARED && is_stray(space, leaf))
		return share_break(space, gfn, entry) == FAULT_DONE;
	if (slat_state(f, leaf) == PAGE_PRIVATE)
		slat_clear_bits(entry, SLAT_SEEN); /* its hint stands under the old salt */
	return true;
}

/* Region not held. There was no frame: may it have one now, as a fault would? By its orders it may
 * have to give up a page of its own. */
static bool find_frame(struct space *space)
{
	return reclaim_for_fault(space, 0) == FAULT_DONE;
}

bool share_unshare_some(struct space *space, u64 end_ns, bool *no_memory)
{
	struct space_share *s = &space->share;

	while (s->next_page < space->page_count && !*no_memory) {
		gfn_t gfn = space_page_gfn(space, s->next_page);
		bool unshared = true;

		spin_lock(space_region_lock(space, gfn));
		u64 *entry = space_page_entry(space, gfn);

		if (entry)
			unshared = page_unshare(space, gfn, entry);
		else if (slat_is_large(space->format, slat_load(space_region_entry(space, gfn))))
			slat_clear_bits(space_region_entry(space, gfn), SLAT_SEEN);
		spin_unlock(space_region_lock(space, gfn));
		if (unshared)
			s->next_page =
				entry ? s->next_page + 1 : space_region_end(space, s->next_page);
		else
			*no_memory = !find_frame(space);
		if (platform_now_ns() >= end_ns)
			break;
	}
	return s->next_page >= space->page_count;
}
