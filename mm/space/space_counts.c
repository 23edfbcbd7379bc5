/* The sets of a space's counters, and the sum of what it consumes. */
#include "mm/space/space_counts.h"
#include "mm/space/promise.h"
#include "mm/space/space.h"

#define STEP_PAGES 16u /* that a set has apart, of several */

u32 space_counts_sets(u32 vcpu_count)
{
	u32 wanted = min(vcpu_count, platform_cpu_count()), sets = 1;

	while (sets < wanted)
		sets *= 2;
	return sets;
}

u64 space_counts_sum(const struct space_counts *counts, size_t field)
{
	u64 sum = 0;

	for (u32 i = 0; i <= counts->set_mask; i++)
		sum += stats_get((const u64 *)&counts->sets[i] + field);
	return sum;
}

struct space_stats space_stats(const struct space *space)
{
	struct space_stats sums;

	for (size_t i = 0; i < sizeof(sums) / sizeof(u64); i++)
		((u64 *)&sums)[i] = space_counts_sum(&space->counts, i);
	return sums;
}

/* Sets are read one after the other, while pages come and go: what is below 0 is 0. */
static u64 not_below_zero(u64 pages)
{
	return (s64)pages < 0 ? 0 : pages;
}

u64 space_pages_in_state(const struct space *space, enum page_state state)
{
	u64 touched = 0;

	if (state != PAGE_UNTOUCHED)
		return not_below_zero(space_counted(space, pages_by_state[state]));
	for (u32 s = PAGE_UNTOUCHED + 1; s < PAGE_STATE_COUNT; s++)
		touched += space_counted(space, pages_by_state[s]);
	return not_below_zero(space->page_count - touched);
}

u64 space_consumed_pages(const struct space *space)
{
	u64 apart = space_counted(space, consumed_apart);

	return not_below_zero(apart + stats_get(&space->counts.consumed));
}

u64 space_held_pages(const struct space *space)
{
	u64 consumed = space_consumed_pages(space);

	return consumed - min(consumed, space_pages_in_state(space, PAGE_WRITING));
}

u64 space_shared_pages(const struct space *space)
{
	return space_pages_in_state(space, PAGE_SHARED) +
	       space_pages_in_state(space, PAGE_SHARED_WRITING);
}

u64 space_leaving_pages(const struct space *space)
{
	return space_pages_in_state(space, PAGE_WRITING) +
	       space_pages_in_state(space, PAGE_SHARED_WRITING);
}

/* What all sets have apart, at most, but for what CPUs do in the same moment. */
static u64 apart_most(const struct space_counts *counts)
{
	return counts->set_mask ? (counts->set_mask + 1ull) * STEP_PAGES : 0;
}

u64 space_consumed_at_least(const struct space *space)
{
	return not_below_zero(stats_get(&space->counts.consumed) - apart_most(&space->counts));
}

u64 space_consumed_at_most(const struct space *space)
{
	return not_below_zero(stats_get(&space->counts.consumed) + apart_most(&space->counts));
}

u64 space_peak_pages(const struct space *space)
{
	return max(stats_get(&space->counts.peak), space_consumed_pages(space));
}

/* Up or, wrapped around, down. */
static bool is_step(u64 pages)
{
	return pages + STEP_PAGES - 1 > 2 * (STEP_PAGES - 1);
}

static void sum_add(struct space *space, u64 pages)
{
	u64 consumed = __atomic_add_fetch(&space->counts.consumed, pages, __ATOMIC_RELAXED);

	if ((s64)pages > 0)
		stats_max(&space->counts.peak, consumed);
	promise_update(space);
}

/*
 * @pages more (or, wrapped around, fewer) are consumed. What is on its way from a set to the sum is
 * in neither for a moment, less than a step for each CPU.
 */
static void consumed_add(struct space *space, struct space_stats *here, u64 pages)
{
	if (space->counts.set_mask == 0 || is_step(pages)) {
		sum_add(space, pages);
		return;
	}
	if (is_step(__atomic_add_fetch(&here->consumed_apart, pages, __ATOMIC_RELAXED)))
		sum_add(space, __atomic_exchange_n(&here->consumed_apart, 0, __ATOMIC_RELAXED));
}

static bool is_consumed(enum page_state state)
{
	return state == PAGE_PRIVATE || state == PAGE_HIDDEN || state == PAGE_CLEAN ||
	       state == PAGE_WRITING || state == PAGE_LOADING;
}

void space_count_state(struct space *space, enum page_state from, enum page_state to, u64 pages)
{
	struct space_stats *here = space_counts_here(&space->counts);

	if (from != PAGE_UNTOUCHED)
		stats_sub(&here->pages_by_state[from], pages);
	if (to != PAGE_UNTOUCHED)
		stats_add(&here->pages_by_state[to], pages);
	if (is_consumed(to) != is_consumed(from))
		consumed_add(space, here, is_consumed(to) ? pages : -pages);
}
