/*
 * What splitting a 2 MiB leaf would gain. Splitting costs its guest, so hints alone are not enough:
 * a page counts if what the index names holds the same bytes now, and it counts once, though both
 * sides' scans come by it. The count is of one pass; it begins anew with the next.
 */
#include "mm/share/share_batch.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"

static struct share_gain *gain_of(struct space *space, gfn_t gfn)
{
	return &space->share.gains[space_page_index(space, gfn) / REGION_PAGE_COUNT];
}

void share_gain_note(struct space *space, gfn_t gfn)
{
	struct share_gain *gain = gain_of(space, gfn);
	u32 page = gfn.v % REGION_PAGE_COUNT, bit = 1u << page % 32;

	/* Both sides' scans come by here. */
	if (!(gain->pages[page / 32] & bit)) {
		gain->pages[page / 32] |= bit;
		gain->count++;
	}
}

bool share_gain_is_enough(struct space *space, gfn_t gfn)
{
	return gain_of(space, gfn)->count >= SHARE_SPLIT_GAIN_PAGES;
}

void share_gain_forget(struct space *space, gfn_t gfn)
{
	*gain_of(space, gfn) = (struct share_gain){0};
}

/* Region held. */
static bool is_as_hinted(struct space *space, gfn_t gfn, const struct share_candidate *c)
{
	const struct slat_format *f = space->format;
	bool zero;
	pfn_t frame;
	u64 leaf = space_leaf(space, gfn, &frame);

	return slat_is_present(f, leaf) && slat_state(f, leaf) == PAGE_PRIVATE &&
	       frame.v == c->target.v && share_salt(space) == c->id.salt &&
	       frame_pin_count(frame) == 0 &&
	       share_identify(space, frame, &zero).hash == c->id.hash;
}

bool share_hint_is_true(const struct share_candidate *c)
{
	u64 word = frame_owner(c->target);
	gfn_t gfn = space_owner_gfn(word);
	struct space *space = space_hold(space_owner_number(word), 0);
	bool is_true = false;

	if (space && space_is_ram(space, gfn)) {
		spin_lock(space_region_lock(space, gfn));
		is_true = is_as_hinted(space, gfn, c);
		spin_unlock(space_region_lock(space, gfn));
	}
	if (space)
		space_release(space);
	return is_true;
}

enum share_refusal share_gain_split(struct space *space, gfn_t gfn, const struct share_candidate *c)
{
	if (!is_as_hinted(space, gfn, c))
		return SHARE_REFUSED_STALE;
	share_gain_note(space, gfn);
	if (!share_gain_is_enough(space, gfn) && memsched_large_pages_ok())
		return SHARE_REFUSED_LARGE;
	share_gain_forget(space, gfn);
	space_split(space, gfn);
	return SHARE_REFUSED_COUNT;
}
