/*
 * Inflating and deflating, under the lock of each page's region.
 *
 * An entry is replaced by one exchange, so that hardware's walk finds the page or finds it absent;
 * what was mapped belongs to the gather from then on. Between the exchange and the flush another
 * CPU of the guest may still use the frame: it reads what was there, or writes what is lost, as
 * befits a page that its kernel has just declared unused. Nobody else sees that frame before the
 * flush. Taking a page back changes one absent entry into another, which no hardware caches; only
 * where a whole region's table becomes free is a flush due, for walks may have cached the way to
 * it.
 */
#include "mm/balloon.h"
#include "mm/evicted.h"
#include "mm/space_entry.h"
#include "mm/platform.h"

#define NO_PAGE 0ull /* an entry that was never touched */

static u64 ballooned_entry(const struct space *space)
{
	return slat_make_absent(space->format, PAGE_BALLOONED, 0);
}

/* What stood in an entry loses its page; the frame, if it had one, goes to @gather. */
static void entry_give_up(struct space *space, u64 old, struct tlb_gather *gather)
{
	space_count_state(space, slat_state(space->format, old), PAGE_BALLOONED, 1);
	evicted_forget(space, old, gather);
}

/* --- Inflating ------------------------------------------------------------------------------- */

static err_t page_inflate(struct space *space, gfn_t gfn, struct tlb_gather *gather)
{
	if (slat_is_large(space->format, slat_load(space_region_entry(space, gfn))))
		space_split(space, gfn);
	u64 *entry = space_page_entry_make(space, gfn);

	if (slat_state(space->format, slat_load(entry)) == PAGE_BALLOONED)
		return E_EXIST;
	entry_give_up(space, slat_exchange(entry, ballooned_entry(space)), gather);
	return E_OK;
}

static void table_inflate(struct space *space, u64 *entries, struct tlb_gather *gather)
{
	u64 ballooned = ballooned_entry(space);

	for (u32 i = 0; i < REGION_PAGE_COUNT; i++)
		entry_give_up(space, slat_exchange(&entries[i], ballooned), gather);
}

/* A region whose one leaf goes as a whole: its table is filled before anything can see it. */
static void leaf_inflate(struct space *space, gfn_t first, u64 *region, struct tlb_gather *gather)
{
	u64 leaf = slat_exchange(region, NO_PAGE), ballooned = ballooned_entry(space);
	pfn_t frame = slat_pfn(space->format, leaf);
	u64 *entries = space_page_entry_make(space, first);

	for (u32 i = 0; i < REGION_PAGE_COUNT; i++) {
		slat_set_absent(&entries[i], ballooned);
		tlb_gather_put(gather, PFN(frame.v + i));
	}
	space_count_state(space, PAGE_PRIVATE, PAGE_BALLOONED, REGION_PAGE_COUNT);
	stats_sub(&space->stats.large_leaves, 1);
}

static u32 table_count(const struct space *space, const u64 *entries, enum page_state state)
{
	u32 count = 0;

	for (u32 i = 0; entries && i < REGION_PAGE_COUNT; i++)
		count += slat_state(space->format, slat_load(&entries[i])) == state;
	return count;
}

static err_t region_inflate(struct space *space, gfn_t first, struct tlb_gather *gather)
{
	u64 *region = space_region_entry(space, first);

	if (slat_is_large(space->format, slat_load(region))) {
		leaf_inflate(space, first, region, gather);
		return E_OK;
	}
	u64 *entries = space_page_entry_make(space, first);

	if (table_count(space, entries, PAGE_BALLOONED))
		return E_EXIST;
	table_inflate(space, entries, gather);
	return E_OK;
}

/* --- Deflating ------------------------------------------------------------------------------- */

static err_t page_deflate(struct space *space, gfn_t gfn)
{
	u64 *entry = space_page_entry(space, gfn);

	if (!entry || slat_state(space->format, slat_load(entry)) != PAGE_BALLOONED)
		return E_NOTFOUND;
	slat_set_absent(entry, NO_PAGE);
	space_count_state(space, PAGE_BALLOONED, PAGE_UNTOUCHED, 1);
	return E_OK;
}

/* The region is as if it had never been touched, so that one leaf may map it again. */
static err_t region_deflate(struct space *space, gfn_t first)
{
	u64 *entries = space_page_entry(space, first);
	struct tlb_gather gather;

	if (table_count(space, entries, PAGE_BALLOONED) != REGION_PAGE_COUNT)
		return E_NOTFOUND;
	tlb_gather_start(&gather, &space->tlb);
	u64 table = slat_exchange(space_region_entry(space, first), NO_PAGE);

	tlb_gather_note(&gather);
	tlb_gather_finish(&gather);
	space_table_give(space, slat_pfn(space->format, table));
	space_count_state(space, PAGE_BALLOONED, PAGE_UNTOUCHED, REGION_PAGE_COUNT);
	return E_OK;
}

/* --- Lists ----------------------------------------------------------------------------------- */

/* Is @gfn RAM, with all of its 512 pages if that many are meant? For any number at all. */
static bool item_is_ram(const struct space *space, gfn_t gfn, u32 order)
{
	u64 count = 1ull << order;

	return IS_ALIGNED(gfn.v, count) && gfn.v <= (~0ull >> PAGE_SHIFT) - count &&
	       space_range_is_ram(space, gfn_to_gpa(gfn), count << PAGE_SHIFT);
}

static err_t item_inflate(struct space *space, gfn_t gfn, u32 order, struct tlb_gather *gather)
{
	if (!item_is_ram(space, gfn, order))
		return E_RANGE;
	spin_lock(space_region_lock(space, gfn));
	err_t err = order ? region_inflate(space, gfn, gather) : page_inflate(space, gfn, gather);

	spin_unlock(space_region_lock(space, gfn));
	return err;
}

static err_t item_deflate(struct space *space, gfn_t gfn, u32 order)
{
	if (!item_is_ram(space, gfn, order))
		return E_RANGE;
	spin_lock(space_region_lock(space, gfn));
	err_t err = order ? region_deflate(space, gfn) : page_deflate(space, gfn);

	spin_unlock(space_region_lock(space, gfn));
	return err;
}

static bool order_is_known(u32 order)
{
	return order == BALLOON_ORDER_4K || order == BALLOON_ORDER_2M;
}

u32 balloon_inflate(struct space *space, const u64 *pages, u32 count, u32 order, err_t *why)
{
	struct tlb_gather gather;
	u32 taken = 0;

	if (!order_is_known(order)) {
		*why = E_INVAL;
		return 0;
	}
	*why = E_OK;
	tlb_gather_start(&gather, &space->tlb);
	while (!*why && taken < count) {
		*why = item_inflate(space, GFN(pages[taken]), order, &gather);
		taken += !*why;
	}
	tlb_gather_finish(&gather);
	stats_add(&space->stats.balloon_inflated, (u64)taken << order);
	return taken;
}

u32 balloon_deflate(struct space *space, const u64 *pages, u32 count, u32 order, err_t *why)
{
	u32 taken = 0;

	if (!order_is_known(order)) {
		*why = E_INVAL;
		return 0;
	}
	*why = E_OK;
	while (!*why && taken < count) {
		*why = item_deflate(space, GFN(pages[taken]), order);
		taken += !*why;
	}
	stats_add(&space->stats.balloon_deflated, (u64)taken << order);
	return taken;
}

/* --- All of it ------------------------------------------------------------------------------- */

static void region_release(struct space *space, gfn_t first)
{
	spin_lock(space_region_lock(space, first));
	u64 *entries = space_page_entry(space, first);
	u32 count = table_count(space, entries, PAGE_BALLOONED);

	for (u32 i = 0; count && i < REGION_PAGE_COUNT; i++) {
		if (slat_state(space->format, slat_load(&entries[i])) == PAGE_BALLOONED)
			slat_set_absent(&entries[i], NO_PAGE);
	}
	space_count_state(space, PAGE_BALLOONED, PAGE_UNTOUCHED, count);
	spin_unlock(space_region_lock(space, first));
	stats_add(&space->stats.balloon_deflated, count);
}

bool balloon_release(struct space *space, u64 *cursor, u32 regions)
{
	for (; regions && *cursor < space->region_count && balloon_pages(space); regions--)
		region_release(space, space_page_gfn(space, (*cursor)++ * REGION_PAGE_COUNT));
	return *cursor >= space->region_count || !balloon_pages(space);
}
