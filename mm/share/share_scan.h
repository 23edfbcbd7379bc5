/*
 * A slice of a scan, for share.c, which goes over regions of small pages, and share_large.c, which
 * goes over 2 MiB leaves. One scan runs at a time, and its lock is held.
 */
#ifndef MM_SHARE_SHARE_SCAN_H
#define MM_SHARE_SHARE_SCAN_H

#include "mm/share/share_batch.h"

/* Its bounds, and what it has done. */
struct share_slice {
	u64 hash_most, end_ns;
	u64 look_at; /* at the clock, when so much is done */
	u64 unchanged;
	struct share_progress done;
};

/* May it do no more? Looks at the clock now and then. */
bool share_scan_is_spent(struct share_slice *scan);

/*
 * The mark of pages that are passed by in this pass: SEEN, or none where the region's turn has come
 * for all to be hashed again. By region, so that its pages are fetched ahead.
 */
static inline u64 share_passed_by(const struct space *space, gfn_t gfn)
{
	u64 turn = gfn.v / REGION_PAGE_COUNT + stats_get(&space->share.passes);

	return turn % SHARE_AGAIN_PASSES == 0 ? 0 : SLAT_SEEN;
}

/*
 * Hash a page and look for another like it: fills *@c but for .gfn. Returns false: there is none,
 * and if there was room it stands as a hint now. Locks: region held. Cost: hashing a page.
 */
bool share_look_up(struct space *space, pfn_t frame, struct share_candidate *c);

/*
 * Some pages of the region at the pass's place, which is a 2 MiB leaf, or was when that was looked
 * at. Locks: none held; takes region locks, one at a time.
 */
void share_scan_large(struct space *space, struct share_slice *scan);

#endif
