/* SRCS: tests/model/vms*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/*
 * What a seed finds it finds again: two runs of one world, in one process, so at other addresses
 * and after other worlds, do the same and come to the same in each step. With another clock most
 * part, by what mm did then: so a clock that is not the model's own would be seen.
 */
#include "tests/model/vms.h"
#include <stdio.h>

#define STEPS  2000u
#define WORLDS 4u

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

/* Two runs by one clock, and one by another. @sees_clock: the last was another run. */
static bool is_repeated(struct world_options *options, bool *sees_clock)
{
	options->trace = first;
	if (!world_run(options))
		abort();
	u32 step = parts_in_step(options);

	if (step)
		printf("seed %llu does otherwise the second time, from step %u on\n",
			(unsigned long long)options->seed, step);
	options->clock_seed = 1;
	*sees_clock = parts_in_step(options) != 0;
	return !step;
}

int main(void)
{
	u64 seed = rng_seed(20261126);
	u32 wrong = 0, saw_clock = 0;

	for (u32 i = 0; i < WORLDS; i++) {
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

		bool sees_clock;

		wrong += !is_repeated(&options, &sees_clock);
		saw_clock += sees_clock;
	}
	if (saw_clock < WORLDS / 2)
		printf("in %u of %u worlds another clock is seen\n", saw_clock, WORLDS);
	return wrong || saw_clock < WORLDS / 2;
}
