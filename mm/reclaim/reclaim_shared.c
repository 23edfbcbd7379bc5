/* The sweep goes by numbers of spaces and pages, so a space may come or go at any time. */
#include "mm/reclaim/reclaim_shared.h"
#include "mm/space/promise.h"
#include "mm/reclaim/reclaim_choice.h"
#include "mm/space/space_entry.h"
#include "mm/space/space_registry.h"

#define CLASSES   64u
#define LOOK_MOST 16384u /* entries in one call */

static struct {
	u32 number;    /* of the space it is in, or behind which it goes on */
	u64 next_page; /* in it */
	u32 class;     /* frames whose number is this modulo CLASSES */
	u32 idle;      /* classes in a row in which nothing was found */
} sweep;               /* [reclaim] */

void reclaim_shared_init(void)
{
	sweep.number = sweep.class = sweep.idle = 0;
	sweep.next_page = 0;
}

/*
 * So many shared pages may it lose: none without a swap file that has room, or beyond its
 * reservation. What is on its way out already is as good as lost.
 */
static u64 may_lose(const struct space *space)
{
	u64 shared = space_pages_in_state(space, PAGE_SHARED), promised = promise_pages(space);
	u64 stays = space_held_pages(space) + shared;

	if (!space->swap || !reclaim_can_lose(space) || stays <= promised)
		return 0;
	return min(shared, stays - promised);
}

/* At @most so many pages of one region. Returns how many; *@full: the next has to wait for room. */
static u32 region_choose(struct space *space, struct evict_batch *batch, u64 most, bool *full)
{
	u64 end = space_region_end(space, sweep.next_page);
	gfn_t gfn = space_page_gfn(space, sweep.next_page);
	struct spinlock *lock = space_region_lock(space, gfn);
	u32 taken = 0;

	spin_lock(lock);
	u64 *entry = space_page_entry(space, gfn);

	for (; entry && sweep.next_page < end && taken < most;
		sweep.next_page++, entry++, gfn.v++) {
		u64 leaf = slat_load(entry);

		if (!slat_is_present(space->format, leaf) ||
			slat_state(space->format, leaf) != PAGE_SHARED ||
			slat_pfn(space->format, leaf).v % CLASSES != sweep.class)
			continue;
		enum evict_taken result = evict_choose(space, gfn, entry, batch);

		*full = result == EVICT_FULL;
		if (*full)
			break;
		taken += result == EVICT_CHOSEN;
	}
	if (!entry)
		sweep.next_page = end;
	spin_unlock(lock);
	return taken;
}

/* Up to the end of @space, or a batch. Likewise. */
static u32 space_choose(struct space *space, struct evict_batch *batch, u32 *looked, bool *full)
{
	u64 most = may_lose(space);
	u32 taken = 0;

	*full = false;
	evict_begin(batch, space);
	while (!taken && !*full && most && sweep.next_page < space->page_count &&
		*looked < LOOK_MOST) {
		u64 from = sweep.next_page;

		taken = region_choose(space, batch, most, full);
		*looked += (u32)(sweep.next_page - from);
	}
	evict_flush(batch);
	return taken;
}

/* Behind the last space: the next class, from the first space on. */
static void class_next(void)
{
	sweep.number = 0;
	sweep.next_page = 0;
	sweep.class = (sweep.class + 1) % CLASSES;
	sweep.idle++;
}

/* The space to go on in, held; NULL: there is none behind. */
static struct space *space_to_sweep(void)
{
	struct space *space = sweep.number ? space_hold(sweep.number, 0) : NULL;

	if (space && sweep.next_page < space->page_count)
		return space;
	if (space)
		space_release(space);
	space = space_hold_next(sweep.number);
	sweep.next_page = 0;
	if (space)
		sweep.number = space->number;
	return space;
}

enum reclaim_swept reclaim_choose_shared(struct evict_batch *batch, struct space **space)
{
	bool full = false;
	u32 looked = 0;

	while (looked < LOOK_MOST && sweep.idle <= CLASSES && !full) {
		*space = space_to_sweep();
		if (!*space) {
			class_next();
			continue;
		}
		if (!may_lose(*space))
			sweep.next_page = (*space)->page_count;
		else if (space_choose(*space, batch, &looked, &full)) {
			sweep.idle = 0;
			return RECLAIM_SWEPT_SOME;
		} else {
			evict_some(batch, *space, 0); /* empty: gives back what it took */
		}
		space_release(*space);
	}
	if (full)
		return RECLAIM_SWEPT_FULL;
	if (sweep.idle <= CLASSES)
		return RECLAIM_SWEPT_ON;
	sweep.idle = 0;
	return RECLAIM_SWEPT_NOTHING;
}
