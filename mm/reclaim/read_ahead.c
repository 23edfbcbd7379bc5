/* The reach is halved and doubled, each time that so many have come along: see read_ahead.h. */
#include "mm/reclaim/read_ahead.h"
#include "mm/reclaim/reclaim_age.h"

#define NARROWEST   3u /* times halved: a page alone */
#define JUDGE_EVERY 32u
#define TRY_EVERY   32u /* reads of one page alone */

static u32 load(const u32 *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

static void store(u32 *value, u32 to)
{
	__atomic_store_n(value, to, __ATOMIC_RELAXED);
}

u32 read_ahead_reach(struct space *space)
{
	struct space_ahead *ahead = &space->ahead;
	u32 narrowed = load(&ahead->narrowed);

	if (narrowed < NARROWEST)
		return READ_AHEAD_MOST >> narrowed;
	store(&ahead->alone, load(&ahead->alone) + 1);
	return load(&ahead->alone) % TRY_EVERY ? 1 : 2;
}

void read_ahead_came(struct space *space, u32 pages)
{
	struct space_ahead *ahead = &space->ahead;
	u32 came = load(&ahead->came) + pages, unused = load(&ahead->unused);
	u32 narrowed = load(&ahead->narrowed);

	store(&ahead->came, came);
	if (came < JUDGE_EVERY)
		return;
	if (unused * 2 > came)
		store(&ahead->narrowed, min(narrowed + 1, NARROWEST));
	else if (narrowed)
		store(&ahead->narrowed, narrowed - 1);
	store(&ahead->came, 0);
	/* What goes in vain came long before, and much of it may go at a time. */
	store(&ahead->unused, unused > came ? min(unused - came, JUDGE_EVERY) : 0);
}

void read_ahead_leaves(struct space *space, pfn_t frame)
{
	if (reclaim_age(frame) == SPACE_AGES - 1)
		store(&space->ahead.unused, load(&space->ahead.unused) + 1);
}
