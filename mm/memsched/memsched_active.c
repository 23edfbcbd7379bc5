/* Moving averages in parts of 65536: see memsched_active.h. */
#include "mm/memsched/memsched_active.h"

#define FAST_WEIGHT 2 /* the newest period counts one in so many */
#define SLOW_WEIGHT 8

void mem_active_start(struct mem_active *active)
{
	*active = (struct mem_active){.slow = MEM_ACTIVE_ALL, .fast = MEM_ACTIVE_ALL};
}

void mem_active_see(struct mem_active *active, u32 sampled, u32 accessed)
{
	if (!sampled)
		return;
	active->current = (u32)((u64)min(accessed, sampled) * MEM_ACTIVE_ALL / sampled);
	active->seen = true;
}

static u32 averaged(u32 average, u32 newest, u32 weight)
{
	return (u32)(((u64)average * (weight - 1) + newest) / weight);
}

void mem_active_close(struct mem_active *active)
{
	if (!active->seen)
		return;
	active->fast = averaged(active->fast, active->current, FAST_WEIGHT);
	active->slow = averaged(active->slow, active->current, SLOW_WEIGHT);
	active->current = 0;
	active->seen = false;
}

u64 mem_active_pages(const struct mem_active *active, u64 pages)
{
	u32 most = max(max(active->slow, active->fast), active->current);

	return pages / MEM_ACTIVE_ALL * most + pages % MEM_ACTIVE_ALL * most / MEM_ACTIVE_ALL;
}
