/*
 * Walking a space's tables, handing out its leaf tables, splitting large leaves.
 *
 * A region's table comes from the space's reserve, one for each region, set aside when the space
 * was made. So nothing here can fail, and nothing here allocates.
 */
#include "mm/space/space_entry.h"
#include "mm/frame/frame.h"
#include "mm/space/promise.h"
#include "mm/platform.h"
#include "mm/base/check.h"
#include "mm/base/str.h"

#define HIGH_BASE_PAGES (SPACE_HIGH_BASE >> PAGE_SHIFT)
#define RESERVE_END     (~0ull)

u64 space_page_index(const struct space *space, gfn_t gfn)
{
	return gfn.v < space->low_page_count ? gfn.v
					     : gfn.v - HIGH_BASE_PAGES + space->low_page_count;
}

gfn_t space_page_gfn(const struct space *space, u64 index)
{
	return GFN(index < space->low_page_count ? index
						 : index - space->low_page_count + HIGH_BASE_PAGES);
}

static struct space_region *region_of(const struct space *space, gfn_t gfn)
{
	return &space->regions[space_page_index(space, gfn) / REGION_PAGE_COUNT];
}

struct spinlock *space_region_lock(struct space *space, gfn_t gfn)
{
	return &region_of(space, gfn)->lock;
}

static u64 *table_at(const struct space *space, u64 entry)
{
	return platform_frame_va(slat_pfn(space->format, entry));
}

u64 *space_region_entry(const struct space *space, gfn_t gfn)
{
	return region_of(space, gfn)->entry;
}

u64 *space_page_entry(const struct space *space, gfn_t gfn)
{
	u64 region = slat_load(space_region_entry(space, gfn));

	if (!slat_is_present(space->format, region) || slat_is_large(space->format, region))
		return NULL;
	return &table_at(space, region)[slat_index(gfn, 1)];
}

/* A table for a region that has none: what was said of all its pages is said of each. */
static u64 table_make(struct space *space, u64 region)
{
	u64 table = slat_make_table(space->format, space_table_take(space));
	u64 *entries = table_at(space, table);

	for (u32 i = 0; region && i < REGION_PAGE_COUNT; i++)
		slat_set_absent(&entries[i], region);
	return table;
}

u64 *space_page_entry_make(struct space *space, gfn_t gfn)
{
	u64 *entry = space_region_entry(space, gfn);
	u64 region = slat_load(entry);

	CHECK(!slat_is_large(space->format, region));
	if (!slat_is_present(space->format, region)) {
		region = table_make(space, region);
		slat_set_absent(entry, region);
	}
	return &table_at(space, region)[slat_index(gfn, 1)];
}

u64 space_leaf(const struct space *space, gfn_t gfn, pfn_t *frame)
{
	u64 region = slat_load(space_region_entry(space, gfn));
	u64 leaf, offset = 0;

	if (slat_is_large(space->format, region)) {
		leaf = region;
		offset = gfn.v % REGION_PAGE_COUNT;
	} else if (slat_is_present(space->format, region)) {
		leaf = slat_load(&table_at(space, region)[slat_index(gfn, 1)]);
	} else {
		leaf = region;
	}
	*frame = slat_is_present(space->format, leaf)
			 ? PFN(slat_pfn(space->format, leaf).v + offset)
			 : PFN_NONE;
	return leaf;
}

void space_split(struct space *space, gfn_t gfn)
{
	const struct slat_format *f = space->format;
	u64 *entry = space_region_entry(space, gfn);
	pfn_t table = space_table_take(space);
	u64 *leaves = platform_frame_va(table);
	u64 large = slat_exchange(entry, 0);

	CHECK(slat_is_large(f, large));
	tlb_flush(&space->tlb);

	/* What hardware knew of the 2 MiB is all that is known of each page. */
	u64 used = large & (f->accessed_bit | f->dirty_bit);

	for (u32 i = 0; i < REGION_PAGE_COUNT; i++) {
		pfn_t frame = PFN(slat_pfn(f, large).v + i);

		leaves[i] = slat_make_leaf(f, frame, SPACE_RIGHTS_ALL, PAGE_PRIVATE, false) | used;
	}
	slat_set_absent(entry, slat_make_table(f, table));
	space_uncount(space, large_leaves, 1);
	space_count(space, splits, 1);
}

pfn_t space_table_take(struct space *space)
{
	spin_lock(&space->tables_lock);
	pfn_t table = PFN(space->table_reserve_head);

	CHECK(table.v != RESERVE_END);
	space->table_reserve_head = frame_owner(table);
	space->table_reserve_count--;
	spin_unlock(&space->tables_lock);

	memset(platform_frame_va(table), 0, PAGE_BYTES);
	frame_set_kind(table, FRAME_TABLE);
	space_count(space, table_pages, 1);
	return table;
}

void space_table_give(struct space *space, pfn_t table)
{
	frame_set_kind(table, FRAME_TABLE_RESERVE);
	space_uncount(space, table_pages, 1);

	spin_lock(&space->tables_lock);
	frame_set_owner(table, space->table_reserve_head);
	space->table_reserve_head = table.v;
	space->table_reserve_count++;
	spin_unlock(&space->tables_lock);
}
