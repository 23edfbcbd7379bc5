/*
 * How long something takes, as a histogram by powers of two: [n] counts what took from 2^n us on
 * and less than twice that; the first and the last are open. Counting is atomic, and costs one add.
 */
#ifndef MM_BASE_LATENCY_H
#define MM_BASE_LATENCY_H

#include "mm/base/types.h"

#define LATENCY_BUCKETS 24u

struct latency {
	u64 counts[LATENCY_BUCKETS]; /* [a] */
};

static inline void latency_note(struct latency *l, u64 ns)
{
	u64 us = ns / 1000;
	u32 bucket = us ? 63u - (u32)__builtin_clzll(us) : 0;

	__atomic_fetch_add(&l->counts[min(bucket, LATENCY_BUCKETS - 1)], 1, __ATOMIC_RELAXED);
}

/* The us below which @pct percent lie, to the next power of two; 0: nothing counted yet. */
static inline u64 latency_below_us(const struct latency *l, u32 pct)
{
	u64 counts[LATENCY_BUCKETS], sum = 0, below = 0;

	for (u32 i = 0; i < LATENCY_BUCKETS; i++)
		sum += counts[i] = __atomic_load_n(&l->counts[i], __ATOMIC_RELAXED);
	for (u32 i = 0; i < LATENCY_BUCKETS && sum; i++) {
		below += counts[i];
		if (below * 100 >= sum * pct)
			return BIT(i + 1);
	}
	return 0;
}

#endif
