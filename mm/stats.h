/*
 * How counters are kept: only ever added to, or gauges that go both ways, always with relaxed
 * atomics. What there is to count of a space: space_counts.h.
 */
#ifndef MM_STATS_H
#define MM_STATS_H

#include "mm/base/types.h"

static inline void stats_add(u64 *counter, u64 n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline void stats_sub(u64 *counter, u64 n)
{
	__atomic_fetch_sub(counter, n, __ATOMIC_RELAXED);
}

/* Raise a high-water mark. */
static inline void stats_max(u64 *mark, u64 value)
{
	u64 old = __atomic_load_n(mark, __ATOMIC_RELAXED);

	while (old < value && !__atomic_compare_exchange_n(
				      mark, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static inline u64 stats_get(const u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Of an estimate: of what CPUs do to it at the same moment one may be forgotten. */
static inline void stats_set(u64 *estimate, u64 value)
{
	__atomic_store_n(estimate, value, __ATOMIC_RELAXED);
}

#endif
