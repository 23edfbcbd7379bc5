/* See guest.h. */
#include "tests/sim/guest.h"

#define DRIVER_PAGES_S (64u << 8) /* 64 MiB/s */
#define SLOW_FACTOR    40u

#define SAMPLE_LUCK_AVERAGE 1000u

u64 guest_touched(const struct guest *g)
{
	return g->resident + g->vm.zipped + g->vm.swapped;
}

u64 guest_lacks(const struct guest *g)
{
	u64 touched = guest_touched(g), working = min(g->working, touched);
	u64 out = g->vm.zipped + g->vm.swapped, cold = touched - working;

	return out > cold ? out - cold : 0;
}

u64 guest_misses(const struct guest *g)
{
	u64 room = g->vm.claims.memory - g->vm.ballooned;

	return guest_lacks(g) + (g->appetite > room ? g->appetite - room : 0);
}

static u64 take(u64 *from, u64 pages)
{
	pages = min(pages, *from);
	*from -= pages;
	return pages;
}

/* Pages that hold something go: of those in memory and those out, in proportion. */
static void give_up(struct guest *g, u64 pages)
{
	u64 touched = guest_touched(g);

	pages -= take(&g->resident, g->resident * pages / touched);
	pages -= take(&g->vm.zipped, g->vm.zipped * pages / touched);
	pages -= take(&g->vm.swapped, pages);
	pages -= take(&g->resident, pages);
	take(&g->vm.zipped, pages);
}

static void inflate(struct guest *g, u64 pages)
{
	u64 most = g->vm.claims.memory - g->minimum;

	pages = min(pages, most > g->vm.ballooned ? most - g->vm.ballooned : 0);
	u64 untouched = g->vm.claims.memory - g->vm.ballooned - guest_touched(g);

	if (pages > untouched)
		give_up(g, pages - untouched);
	g->vm.ballooned += pages;
}

void guest_balloon_step(struct guest *g, u64 now_ns)
{
	u64 step = DRIVER_PAGES_S / STEPS_S / (g->tools == TOOLS_SLOW ? SLOW_FACTOR : 1);
	u64 target = g->pace.target_pages, size = g->vm.ballooned;

	if (g->vm.blocked || g->tools == TOOLS_NONE ||
		(g->tools == TOOLS_STOP && now_ns >= g->stops_ns))
		return;
	g->heard_ns = now_ns;
	if (target > size)
		inflate(g, min(target - size, step));
	else
		g->vm.ballooned -= min(size - target, step * 4);
}

void guest_sample(struct guest *g, struct rng *rng, bool period_ends)
{
	u64 pages = g->vm.claims.memory - g->vm.ballooned;

	g->seen = max(g->seen, g->vm.blocked ? 0 : g->working);
	u64 mean = pages ? min(g->seen, pages) * SAMPLED / pages : 0;
	u64 deviation = 1;

	while (deviation * deviation * SAMPLED < mean * (SAMPLED - mean))
		deviation++;
	/* A sample errs by so much, the same sample always in the same way. */
	u64 hits = mean + deviation * g->sample_luck / SAMPLE_LUCK_AVERAGE;

	hits = hits > deviation ? hits - deviation : 0;
	hits = min(hits, (u64)SAMPLED);
	mem_active_see(&g->estimate, SAMPLED, (u32)hits);
	if (!period_ends)
		return;
	mem_active_close(&g->estimate);
	g->seen = 0;
	g->sample_luck = (u32)rng_below(rng, 2 * SAMPLE_LUCK_AVERAGE + 1);
}
