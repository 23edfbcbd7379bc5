/*
 * The balloon: pages that a guest gave back by name, and takes again by name or by using them.
 *
 * A ballooned page is an absent entry of state BALLOONED, its own or that of its whole 2 MiB
 * region, and nothing else: it has no frame, and whatever it held is gone, whether it was private,
 * shared, zero, hidden or never touched. Frames go through a tlb_gather, one for a batch; one that
 * is pinned is freed with its last pin. A page that is taken back is UNTOUCHED again: it reads as
 * zeros.
 *
 * The numbers come from a guest and are hostile: each entry of a list is checked, and one that is
 * wrong changes nothing.
 */
#ifndef MM_BALLOON_BALLOON_H
#define MM_BALLOON_BALLOON_H

#include "mm/space/space.h"

#define BALLOON_ORDER_4K 0u
#define BALLOON_ORDER_2M REGION_ORDER
#define REGION_ORDER     (REGION_SHIFT - PAGE_SHIFT)

/* Pages in @space's balloon now. */
static inline u64 balloon_pages(const struct space *space)
{
	return space_pages_in_state(space, PAGE_BALLOONED);
}

/*
 * Take the pages of a list, in order, up to the first that cannot be taken.
 * @pages: page numbers, read once each. @order: 0, or 9: each names 512 pages, aligned.
 * Returns how many entries were taken; if not all, *@why is E_RANGE (not RAM, not aligned), E_EXIST
 * (in the balloon already, of an entry of 512 any) or E_INVAL (@order). Locks: takes regions'.
 * Never waits. Cost: one flush round for 64 frames, and for 8 regions that one leaf mapped.
 */
u32 balloon_inflate(struct space *space, const u64 *pages, u32 count, u32 order, err_t *why);

/*
 * Give pages back, in the same way. E_NOTFOUND: not in the balloon, of an entry of 512 any.
 * Cost: no flush; one for 512 that were inflated singly.
 */
u32 balloon_deflate(struct space *space, const u64 *pages, u32 count, u32 order, err_t *why);

/*
 * Give back all that is in the balloon, a piece at a time: looks at up to @regions regions from
 * *@cursor (0 at first) on. Returns whether the balloon is empty or all regions were seen; if not,
 * call it again. Locks: takes regions'.
 */
bool balloon_release(struct space *space, u64 *cursor, u32 regions);

#endif
