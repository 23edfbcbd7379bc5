/* SRCS: tests/model/vms*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/*
 * What a seed finds it finds again: two runs of one world, in one process, so at other addresses
 * and after other worlds, do the same and come to the same in each step. With a much slower
 * clock they part, by what mm does then: so a clock that is not the model's own would be seen.
 */
#include "tests/model/vms.h"
#include <stdio.h>

#define STEPS 2000u

static u64 first[STEPS], other[STEPS];

/* The step in which such a run parts from the first; 0: it does not. */
static u32 parts_in_step(struct world_options *options)
{
	options->trace = other;
	if (!world_run(options))
		abort();
	for (u32 i = 0; i < STEPS; i++) {
		if (first[i] != other[i])
			return i + 1;
	}
	return 0;
}

static bool is_repeated(struct world_options *options)
{
	options->trace = first;
	if (!world_run(options))
		abort();
	u32 step = parts_in_step(options);

	if (step)
		printf("seed %llu does otherwise the second time, from step %u on\n",
			(unsigned long long)options->seed, step);
	options->slow = true;
	bool sees_clock = parts_in_step(options);

	if (!sees_clock)
		printf("seed %llu: another clock is not seen\n", (unsigned long long)options->seed);
	return !step && sees_clock;
}

int main(void)
{
	u64 seed = rng_seed(20261126);
	int wrong = 0;

	for (u32 i = 0; i < 4; i++) {
		struct world_options options = {
			.seed = seed + i,
			.steps = STEPS,
			.ram_frames = i & 1 ? 3000 : 1700,
			.memory_bytes = MIB(4),
			.format = i & 1 ? &slat_npt : &slat_ept,
			.large_pages = i & 1,
			.share = i != 2,
			.reclaim = true,
			.disk_faults = i == 3,
		};

		wrong += !is_repeated(&options);
	}
	return wrong != 0;
}
