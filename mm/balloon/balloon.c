/*
 * Inflating and deflating, under the lock of each page's region.
 *
 * An entry is replaced by one exchange, so that hardware's walk finds the page or finds it absent;
 * what was mapped belongs to the gather from then on. 2 MiB go by their level-2 entry, which says
 * of all its pages that they are ballooned. Between the exchange and the flush another CPU of the
 * guest may still use the frame: it reads what was there, or writes what is lost, as befits a page
 * that its kernel has just declared unused. Nobody else sees that frame before the flush. Taking a
 * page back changes one absent entry into another, which no hardware caches; only where a whole
 * region's table becomes free is a flush due, for walks may have cached the way to it.
 */
#include "mm/balloon/balloon.h"
#include "mm/reclaim/evicted.h"
#include "mm/space/space_entry.h"
#include "mm/platform.h"

#define NO_PAGE 0ull /* an entry that was never touched */

static u64 ballooned_entry(const struct space *space)
{
	return slat_make_absent(space->format, PAGE_BALLOONED, 0);
}

static bool is_ballooned(const struct space *space, const u64 *entry)
{
	return slat_state(space->format, slat_load(entry)) == PAGE_BALLOONED;
}

/* --- Inflating ------------------------------------------------------------------------------- */

/* How many pages were in each state before. Settled under the region's lock. */
struct given_up {
	u32 pages[PAGE_STATE_COUNT];
};

static void settle(struct space *space, const struct given_up *given_up)
{
	for (u32 state = 0; state < PAGE_STATE_COUNT; state++) {
		if (given_up->pages[state])
			space_count_state(space, state, PAGE_BALLOONED, given_up->pages[state]);
	}
}

/* What stood in an entry loses its page; the frame, if it had one, goes to @gather. */
static void entry_give_up(
	struct space *space, u64 old, struct given_up *given_up, struct tlb_gather *gather)
{
	given_up->pages[slat_state(space->format, old)]++;
	evicted_forget(space, old, gather);
}

/* Region held, and a table there: its pages at the beginning of the list. How many were taken. */
static u32 table_pages_inflate(
	struct space *space, const u64 *pages, u32 count, struct tlb_gather *gather, err_t *why)
{
	u64 region = pages[0] / REGION_PAGE_COUNT, ballooned = ballooned_entry(space);
	u64 *entries = space_page_entry_make(space, GFN(region * REGION_PAGE_COUNT));
	struct given_up given_up = {0};
	u32 taken = 0;

	for (; taken < count && pages[taken] / REGION_PAGE_COUNT == region; taken++) {
		u64 *entry = &entries[pages[taken] % REGION_PAGE_COUNT];

		if (!space_is_ram(space, GFN(pages[taken])))
			*why = E_RANGE;
		else if (slat_load(entry) == ballooned)
			*why = E_EXIST;
		if (*why)
			break;
		entry_give_up(space, slat_exchange(entry, ballooned), &given_up, gather);
	}
	settle(space, &given_up);
	return taken;
}

/* As many from the list's beginning as lie in the first one's region. */
static u32 pages_inflate(
	struct space *space, const u64 *pages, u32 count, struct tlb_gather *gather, err_t *why)
{
	gfn_t first = GFN(pages[0]);
	u32 taken = 0;

	if (!space_is_ram(space, first)) {
		*why = E_RANGE;
		return 0;
	}
	spin_lock(space_region_lock(space, first));
	u64 *region = space_region_entry(space, first);

	if (slat_is_large(space->format, slat_load(region)))
		space_split(space, first);
	if (is_ballooned(space, region))
		*why = E_EXIST;
	else
		taken = table_pages_inflate(space, pages, count, gather, why);
	spin_unlock(space_region_lock(space, first));
	return taken;
}

static u32 table_count(const struct space *space, const u64 *entries, enum page_state state)
{
	u32 count = 0;

	for (u32 i = 0; entries && i < REGION_PAGE_COUNT; i++)
		count += slat_state(space->format, slat_load(&entries[i])) == state;
	return count;
}

/* The table is taken out before its pages are; it is free after the flush. */
static void table_inflate(struct space *space, u64 *region, struct tlb_gather *gather)
{
	pfn_t table = slat_pfn(space->format, slat_exchange(region, ballooned_entry(space)));
	const u64 *entries = platform_frame_va(table);
	struct given_up given_up = {0};

	tlb_gather_note(gather);
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++)
		entry_give_up(space, slat_load(&entries[i]), &given_up, gather);
	settle(space, &given_up);
	tlb_gather_finish(gather);
	space_table_give(space, table);
}

static err_t region_inflate(struct space *space, gfn_t first, struct tlb_gather *gather)
{
	u64 *region = space_region_entry(space, first);
	u64 old = slat_load(region);

	if (slat_is_large(space->format, old)) {
		old = slat_exchange(region, ballooned_entry(space));
		tlb_gather_put_large(gather, slat_pfn(space->format, old));
		space_uncount(space, large_leaves, 1);
		space_count_state(space, PAGE_PRIVATE, PAGE_BALLOONED, REGION_PAGE_COUNT);
		return E_OK;
	}
	if (is_ballooned(space, region) ||
		table_count(space, space_page_entry(space, first), PAGE_BALLOONED))
		return E_EXIST;
	if (slat_is_present(space->format, old)) {
		table_inflate(space, region, gather);
	} else {
		slat_set_absent(region, ballooned_entry(space));
		space_count_state(space, PAGE_UNTOUCHED, PAGE_BALLOONED, REGION_PAGE_COUNT);
	}
	return E_OK;
}

/* --- Deflating ------------------------------------------------------------------------------- */

static err_t page_deflate(struct space *space, gfn_t gfn)
{
	u64 *entry = is_ballooned(space, space_region_entry(space, gfn))
			     ? space_page_entry_make(space, gfn)
			     : space_page_entry(space, gfn);

	if (!entry || !is_ballooned(space, entry))
		return E_NOTFOUND;
	slat_set_absent(entry, NO_PAGE);
	space_count_state(space, PAGE_BALLOONED, PAGE_UNTOUCHED, 1);
	return E_OK;
}

/* A region whose pages went one by one: walks may have cached the way to its table. */
static void table_drop(struct space *space, u64 *region)
{
	pfn_t table = slat_pfn(space->format, slat_exchange(region, NO_PAGE));

	tlb_flush(&space->tlb);
	space_table_give(space, table);
}

/* The region is as if it had never been touched, so that one leaf may map it again. */
static err_t region_deflate(struct space *space, gfn_t first)
{
	u64 *region = space_region_entry(space, first);
	const u64 *entries = space_page_entry(space, first);

	if (is_ballooned(space, region))
		slat_set_absent(region, NO_PAGE);
	else if (table_count(space, entries, PAGE_BALLOONED) == REGION_PAGE_COUNT)
		table_drop(space, region);
	else
		return E_NOTFOUND;
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

static err_t large_inflate(struct space *space, gfn_t gfn, struct tlb_gather *gather)
{
	if (!item_is_ram(space, gfn, BALLOON_ORDER_2M))
		return E_RANGE;
	spin_lock(space_region_lock(space, gfn));
	err_t err = region_inflate(space, gfn, gather);

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
		if (order) {
			*why = large_inflate(space, GFN(pages[taken]), &gather);
			taken += !*why;
		} else {
			taken += pages_inflate(space, &pages[taken], count - taken, &gather, why);
		}
	}
	tlb_gather_finish(&gather);
	space_count(space, balloon_inflated, (u64)taken << order);
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
	space_count(space, balloon_deflated, (u64)taken << order);
	return taken;
}

/* --- All of it ------------------------------------------------------------------------------- */

static void region_release(struct space *space, gfn_t first)
{
	spin_lock(space_region_lock(space, first));
	u64 *region = space_region_entry(space, first);
	u64 *entries = space_page_entry(space, first);
	u32 count = table_count(space, entries, PAGE_BALLOONED);

	for (u32 i = 0; count && i < REGION_PAGE_COUNT; i++) {
		if (is_ballooned(space, &entries[i]))
			slat_set_absent(&entries[i], NO_PAGE);
	}
	if (is_ballooned(space, region)) {
		slat_set_absent(region, NO_PAGE);
		count = REGION_PAGE_COUNT;
	}
	space_count_state(space, PAGE_BALLOONED, PAGE_UNTOUCHED, count);
	spin_unlock(space_region_lock(space, first));
	space_count(space, balloon_deflated, count);
}

bool balloon_release(struct space *space, u64 *cursor, u32 regions)
{
	for (; regions && *cursor < space->region_count && balloon_pages(space); regions--)
		region_release(space, space_page_gfn(space, (*cursor)++ * REGION_PAGE_COUNT));
	return *cursor >= space->region_count || !balloon_pages(space);
}
