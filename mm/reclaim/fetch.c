/*
 * A walk over the space's entries that goes on where it stopped, round and round, until the order
 * is done. Pages come back by the way that faults bring them, only that nobody's instruction waits,
 * and that they look unused.
 */
#include "mm/reclaim/fetch.h"
#include "mm/reclaim/evicted.h"
#include "mm/memsched/memsched.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/space/space_entry.h"

enum fetched {
	FETCH_GO_ON,
	FETCH_LATER, /* no command can be started just now */
	FETCH_ENOUGH,
};

static u64 out_pages(const struct space *space)
{
	return space_pages_in_state(space, PAGE_ZIPPED) + space_pages_in_state(space, PAGE_SWAPPED);
}

void fetch_order(struct space *space, u64 pages)
{
	__atomic_store_n(&space->orders.fetch_pages, pages, __ATOMIC_RELAXED);
}

static bool may_fetch(const struct space *space)
{
	return promise_spare_pages() > memsched_levels()->aim && promise_allows(space, 1, true);
}

/* Region held. */
static enum fetched page_fetch(struct space *space, gfn_t gfn, u64 *entry)
{
	enum page_state state = slat_state(space->format, slat_load(entry));

	if (state != PAGE_ZIPPED && state != PAGE_SWAPPED)
		return FETCH_GO_ON;
	if (!may_fetch(space))
		return FETCH_ENOUGH;
	enum fault_result result = evicted_resolve(space, gfn, entry, SLAT_READ | FAULT_FETCH);

	/* A page whose contents are lost stays so, until whoever touches it is told. */
	if (result == FAULT_NOMEM || result == FAULT_CORRUPT)
		return FETCH_ENOUGH;
	if (result == FAULT_WAIT && slat_state(space->format, slat_load(entry)) == PAGE_SWAPPED)
		return FETCH_LATER;
	return FETCH_GO_ON;
}

/* The pages of a region from the walk's place on, until something is fetched or the region ends. */
static enum fetched region_fetch(struct space *space)
{
	u64 index = space->fetch_at;
	u64 end = space_region_end(space, index);
	gfn_t gfn = space_page_gfn(space, index);
	enum fetched fetched = FETCH_GO_ON;
	struct spinlock *lock = space_region_lock(space, gfn);
	u64 out = out_pages(space);

	spin_lock(lock);
	u64 *entry = space_page_entry(space, gfn);

	for (; entry && index < end && fetched == FETCH_GO_ON && out_pages(space) >= out;
		index++, entry++, gfn.v++)
		fetched = page_fetch(space, gfn, entry);
	spin_unlock(lock);
	if (!entry)
		index = end;
	space->fetch_at = index == space->page_count ? 0 : index;
	return fetched;
}

bool fetch_some(struct space *space, u64 end_ns)
{
	u64 *order = &space->orders.fetch_pages;
	u64 left = __atomic_load_n(order, __ATOMIC_RELAXED);
	enum fetched fetched = FETCH_GO_ON;

	while (left && fetched == FETCH_GO_ON && platform_now_ns() < end_ns) {
		u64 before = out_pages(space);

		fetched = before ? region_fetch(space) : FETCH_ENOUGH;
		u64 now = out_pages(space);

		left -= min(left, before > now ? before - now : 0);
	}
	fetch_order(space, fetched == FETCH_ENOUGH ? 0 : left);
	return left && fetched == FETCH_GO_ON;
}
