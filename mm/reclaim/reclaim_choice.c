/*
 * The victims: from a random page of the space on, those in a row that are old enough. So the
 * choice among equals is random, and what is evicted together lies together, in the guest's memory
 * and then in the swap file.
 */
#include "mm/reclaim/reclaim_choice.h"
#include "mm/draw.h"
#include "mm/platform.h"
#include "mm/space/promise.h"
#include "mm/reclaim/reclaim_age.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"

#define LOOK_MOST 4096u /* pages, unless any will do */

static bool is_random; /* [a] */

void reclaim_choose_randomly(bool randomly)
{
	__atomic_store_n(&is_random, randomly, __ATOMIC_RELAXED);
}

bool reclaim_can_lose(const struct space *space)
{
	return (space->zcache || space->swap) &&
	       platform_now_ns() >= __atomic_load_n(&space->rests_until_ns, __ATOMIC_RELAXED);
}

u64 reclaim_space_pages(const struct space *space)
{
	u64 promised = promise_pages(space);

	/* Asked of each space by one that looks for a frame. */
	if (space_consumed_at_most(space) <= promised || !reclaim_can_lose(space))
		return 0;
	u64 kept = promised + space_pages_in_state(space, PAGE_WRITING);
	u64 consumed = space_consumed_pages(space);

	return consumed > kept ? consumed - kept : 0;
}

static u64 order_of(const u64 *order)
{
	return __atomic_load_n(order, __ATOMIC_RELAXED);
}

static u64 above(const struct space *space, const u64 *order)
{
	u64 most = order_of(order);

	if (space_consumed_at_most(space) <= most)
		return 0;
	u64 held = space_held_pages(space);

	return held > most ? min(held - most, reclaim_space_pages(space)) : 0;
}

static u64 above_entitlement(const struct space *space)
{
	return above(space, &space->orders.entitled_pages);
}

u64 reclaim_ordered_pages(const struct space *space)
{
	return above(space, &space->orders.evict_to_pages);
}

/* The space of which @pages() tells the most, held. */
static struct space *furthest(u64 (*pages_of)(const struct space *space))
{
	struct space *best = NULL, *space;
	u64 most = 0;

	for (u32 number = 0; (space = space_hold_next(number)) != NULL;) {
		u64 pages = pages_of(space);

		number = space->number;
		if (pages > most) {
			if (best)
				space_release(best);
			best = space;
			most = pages;
		} else {
			space_release(space);
		}
	}
	return best;
}

struct space *reclaim_space(void)
{
	struct space *space = furthest(above_entitlement);

	return space ? space : furthest(reclaim_space_pages);
}

struct space *reclaim_ordered_space(void)
{
	return furthest(reclaim_ordered_pages);
}

struct choice {
	struct space *space;
	struct evict_batch *batch;
	enum reclaim_effort effort;
	u32 min_age;
	u32 want, taken;
};

/*
 * Region held. Is the page one to go? @*age: its own, where it has one. One that has been used
 * since the sweep is not as old as it seemed: were it still counted there, the few that are left of
 * an age would be looked for among all pages, again and again.
 */
static bool is_victim(const struct choice *c, u64 leaf, u32 *age)
{
	const struct slat_format *f = c->space->format;
	enum page_state state = slat_state(f, leaf);

	*age = 0;
	if (state == PAGE_HIDDEN)
		return true;
	if (state != PAGE_PRIVATE && state != PAGE_CLEAN)
		return false;
	if (leaf & f->accessed_bit)
		reclaim_age_used(c->space, slat_pfn(f, leaf));
	*age = reclaim_age(slat_pfn(f, leaf));
	if (c->effort == RECLAIM_ANY)
		return true;
	return !(leaf & (f->accessed_bit | SLAT_WALKED)) && *age >= c->min_age;
}

/* Pages of one region, from @index up to @end. */
static void region_choose(struct choice *c, u64 index, u64 end)
{
	struct space *space = c->space;
	gfn_t gfn = space_page_gfn(space, index);
	struct spinlock *lock = space_region_lock(space, gfn);

	spin_lock(lock);
	if (slat_is_large(space->format, slat_load(space_region_entry(space, gfn))))
		space_split(space, gfn);
	u64 *entry = space_page_entry(space, gfn);

	for (; entry && index < end && c->taken < c->want; index++, entry++, gfn.v++) {
		u32 age;

		if (!is_victim(c, slat_load(entry), &age))
			continue;
		if (evict_choose(space, gfn, entry, c->batch) == EVICT_NOT)
			continue;
		reclaim_age_gone(space, age);
		c->taken++;
	}
	spin_unlock(lock);
}

static void walk(struct choice *c, u64 most)
{
	u64 count = c->space->page_count, index = draw(count);

	most = min(most, count);
	while (most && c->taken < c->want) {
		u64 end = min(space_region_end(c->space, index), index + most);

		region_choose(c, index, end);
		most -= end - index;
		index = end == count ? 0 : end;
	}
}

static u32 choose(
	struct space *space, struct evict_batch *batch, u64 want, enum reclaim_effort effort)
{
	bool randomly = __atomic_load_n(&is_random, __ATOMIC_RELAXED);
	struct choice c = {
		.space = space,
		.batch = batch,
		.effort = randomly ? RECLAIM_ANY : effort,
		.min_age = effort == RECLAIM_COLD ? reclaim_age_to_evict(space) : 0,
		.want = (u32)min(want, (u64)EVICT_BATCH_PAGES),
	};

	evict_begin(batch, space);
	walk(&c, effort == RECLAIM_ANY ? space->page_count : LOOK_MOST);
	evict_flush(batch);
	return c.taken;
}

u32 reclaim_choose(
	struct space *space, struct evict_batch *batch, u32 want, enum reclaim_effort effort)
{
	return choose(space, batch, min((u64)want, reclaim_space_pages(space)), effort);
}

u32 reclaim_choose_to_pay(
	struct space *space, struct evict_batch *batch, u32 want, enum reclaim_effort effort)
{
	return choose(space, batch, reclaim_can_lose(space) ? want : 0, effort);
}
