/*
 * Scanning a 2 MiB leaf: its pages are hashed and looked up without splitting it. It is split once
 * enough of them are known to be elsewhere too (share_gain.c), or large pages can no longer be
 * afforded; then the pass goes over it once more, as small pages.
 */
#include "mm/share/share_scan.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/space/space_entry.h"

/*
 * Region held. One page of a 2 MiB leaf is looked up. True: *@c is a hint, whose page may lie
 * anywhere and is to be looked at without this region's lock.
 */
static bool piece_scan(struct space *space, gfn_t gfn, pfn_t frame, struct share_candidate *c)
{
	if (frame_pin_count(frame) || !share_look_up(space, frame, c))
		return false;
	if (c->kind == SHARE_TARGET_HINT)
		return true;
	if (c->kind == SHARE_TARGET_ZERO || share_pages_equal(frame, c->target))
		share_gain_note(space, gfn);
	if (c->kind == SHARE_TARGET_SHARED)
		share_index_put(c->target);
	return false;
}

/*
 * Region held. Some pages of a 2 MiB leaf, without splitting it. True: the last of them has a hint,
 * *@c.
 */
static bool pieces_scan(
	struct space *space, u64 *region, struct share_candidate *c, struct share_slice *scan)
{
	const struct slat_format *f = space->format;
	struct space_share *s = &space->share;
	u64 leaf = slat_load(region), end = space_region_end(space, s->next_page);
	bool hinted = false;

	if (s->next_page % REGION_PAGE_COUNT == 0) {
		if (!(leaf & f->dirty_bit) &&
			(leaf & share_passed_by(space, space_page_gfn(space, s->next_page)))) {
			scan->unchanged += REGION_PAGE_COUNT;
			scan->done.visited++;
			s->next_page = end;
			return false;
		}
		/* D of 512 pages says little about each: they are hashed either way. */
		slat_set_bits(region, SLAT_SEEN);
	}
	while (!hinted && s->next_page < end && !share_scan_is_spent(scan)) {
		pfn_t frame = PFN(slat_pfn(f, leaf).v + s->next_page % REGION_PAGE_COUNT);

		hinted = piece_scan(space, space_page_gfn(space, s->next_page), frame, c);
		scan->done.visited++;
		scan->done.hashed++;
		s->next_page++;
	}
	return hinted;
}

/* Without a lock. */
static void piece_follow(struct space *space, gfn_t gfn, const struct share_candidate *c)
{
	bool is_true = share_hint_is_true(c);

	if (is_true)
		share_gain_note(space, gfn);
	/* Beside the one found, so that that one's scan finds this; or in place of what is none. */
	share_index_hint(c->id, c->frame, is_true ? PFN_NONE : c->target);
}

void share_scan_large(struct space *space, struct share_slice *scan)
{
	u64 first = ALIGN_DOWN(space->share.next_page, (u64)REGION_PAGE_COUNT);
	gfn_t gfn = space_page_gfn(space, first);
	struct spinlock *lock = space_region_lock(space, gfn);
	u64 *region = space_region_entry(space, gfn);
	bool hinted = false, worth = !memsched_large_pages_ok();
	struct share_candidate c;

	if (!worth) {
		spin_lock(lock);
		if (slat_is_large(space->format, slat_load(region)))
			hinted = pieces_scan(space, region, &c, scan);
		spin_unlock(lock);
		if (hinted)
			piece_follow(space, space_page_gfn(space, space->share.next_page - 1), &c);
		worth = share_gain_is_enough(space, gfn);
	}
	if (!worth)
		return;
	spin_lock(lock);
	if (slat_is_large(space->format, slat_load(region)))
		space_split(space, gfn);
	spin_unlock(lock);
	share_gain_forget(space, gfn);
	/* As small pages, from its first on: what was hashed is found again by its hint. */
	space->share.next_page = first;
}
