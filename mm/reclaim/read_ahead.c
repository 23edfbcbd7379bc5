/* The reach is halved and doubled, each time that so many have come along: see read_ahead.h. */
#include "mm/reclaim/read_ahead.h"
#include "mm/reclaim/reclaim_age.h"

#define NARROWEST   3u /* times halved: a page alone */
#define JUDGE_EVERY 32u
#define TRY_EVERY   32u /* reads of one page alone */

u32 read_ahead_reach(struct space *space)
{
	struct space_ahead *ahead = &space->ahead;
	u64 narrowed = stats_get(&ahead->narrowed);

	if (narrowed < NARROWEST)
		return READ_AHEAD_MOST >> narrowed;
	stats_set(&ahead->alone, stats_get(&ahead->alone) + 1);
	return stats_get(&ahead->alone) % TRY_EVERY ? 1 : 2;
}

void read_ahead_came(struct space *space, u32 pages)
{
	struct space_ahead *ahead = &space->ahead;
	u64 came = stats_get(&ahead->came) + pages, unused = stats_get(&ahead->unused);
	u64 narrowed = stats_get(&ahead->narrowed);

	stats_set(&ahead->came, came);
	if (came < JUDGE_EVERY)
		return;
	if (unused * 2 > came)
		stats_set(&ahead->narrowed, min(narrowed + 1, (u64)NARROWEST));
	else if (narrowed)
		stats_set(&ahead->narrowed, narrowed - 1);
	stats_set(&ahead->came, 0);
	/* What goes in vain came long before, and much of it may go at a time. */
	stats_set(&ahead->unused, unused > came ? min(unused - came, (u64)JUDGE_EVERY) : 0);
}

void read_ahead_leaves(struct space *space, pfn_t frame)
{
	if (reclaim_age(frame) == SPACE_AGES - 1)
		stats_set(&space->ahead.unused, stats_get(&space->ahead.unused) + 1);
}
