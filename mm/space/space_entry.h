/*
 * How mm's own parts reach the entries of a space: the walk to a region's and a page's entry, the
 * locks, the reserve of leaf tables, and splitting. hv/ has no business here.
 */
#ifndef MM_SPACE_SPACE_ENTRY_H
#define MM_SPACE_SPACE_ENTRY_H

#include "mm/space/space.h"

/* The pages of RAM in a row, holes left out: @gfn's number in it, and back. @gfn is RAM. O(1). */
u64 space_page_index(const struct space *space, gfn_t gfn);
gfn_t space_page_gfn(const struct space *space, u64 index);

/* Where, in that row, the 2 MiB region ends that page @index is in. */
static inline u64 space_region_end(const struct space *space, u64 index)
{
	return min(
		ALIGN_DOWN(index, (u64)REGION_PAGE_COUNT) + REGION_PAGE_COUNT, space->page_count);
}

/* The lock for all entries of @gfn's 2 MiB region; @gfn is RAM. */
struct spinlock *space_region_lock(struct space *space, gfn_t gfn);

/*
 * The level-2 entry for @gfn's region: absent, of the state that all its pages are in (UNTOUCHED or
 * BALLOONED), a table, or a 2 MiB leaf. @gfn is RAM. The levels above are made with the space and
 * never change, so finding it needs no lock; the entry needs the region's. O(1).
 */
u64 *space_region_entry(const struct space *space, gfn_t gfn);

/* The level-1 entry, or NULL where the region has no table. Locks: region held. */
u64 *space_page_entry(const struct space *space, gfn_t gfn);

/*
 * The same, with a table put in where there is none. The region is no 2 MiB leaf. Cannot fail.
 * Locks: region held.
 */
u64 *space_page_entry_make(struct space *space, gfn_t gfn);

/*
 * The leaf that maps @gfn now, or its absent entry, either of its page or of its region. Locks:
 * region held.
 */
u64 space_leaf(const struct space *space, gfn_t gfn, pfn_t *frame);

/* Turn a 2 MiB leaf into 512 small ones: clear, flush, write. Cannot fail. Locks: region held. */
void space_split(struct space *space, gfn_t gfn);

/*
 * The reserve of leaf tables. Taken ones are zero. The reserve covers every region. Locks: takes
 * TABLES.
 */
pfn_t space_table_take(struct space *space);
void space_table_give(struct space *space, pfn_t table);

/* The rights of a page that is the guest's own, and of one that is not, or is about not to be. */
#define SPACE_RIGHTS_ALL       (SLAT_READ | SLAT_WRITE | SLAT_EXEC)
#define SPACE_RIGHTS_READ_ONLY (SLAT_READ | SLAT_EXEC)

/* And of a 2 MiB leaf. */
static inline u32 space_large_rights(const struct space *space)
{
	return SPACE_RIGHTS_ALL & ~(space->large_pages_no_exec ? SLAT_EXEC : 0u);
}

#endif
