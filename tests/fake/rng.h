/*
 * Reproducible random numbers for tests: the seed comes from the environment's SEED, else from the
 * test.
 */
#ifndef TESTS_FAKE_RNG_H
#define TESTS_FAKE_RNG_H

#include "mm/base/types.h"
#include <stdlib.h>

struct rng {
	u64 state;
};

#define RNG_STEP 0x9e3779b97f4a7c15ull /* what a number drawn adds to the state */

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators"). */
static inline u64 rng_next(struct rng *rng)
{
	u64 z = rng->state += RNG_STEP;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline u64 rng_below(struct rng *rng, u64 end)
{
	return rng_next(rng) % end;
}

static inline bool rng_chance(struct rng *rng, u32 pct)
{
	return rng_below(rng, 100) < pct;
}

static inline u64 rng_seed(u64 otherwise)
{
	const char *text = getenv("SEED");

	return text ? strtoull(text, NULL, 0) : otherwise;
}

#endif
