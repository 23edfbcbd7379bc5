/* SRCS: tests/model/vms*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/*
 * VMs whose pages are often alike, scanned for sharing all the time, equal the naive model: with
 * guests' writes, pins, resets and ends of VMs on other CPUs between any two steps of a merge, with
 * hashes cut so short that false matches are the rule, in both formats, with and without large
 * pages, with memory running out. A world goes by its seed alone: SEED=n begins with that one,
 * STEPS=n runs longer.
 */
#include "tests/model/vms.h"
#include <stdio.h>

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 8000;
	u64 first = rng_seed(20241101);

	for (u64 seed = first; seed < first + 8; seed++) {
		struct world_options options = {
			.seed = seed,
			.steps = steps,
			.ram_frames = seed & 2 ? (seed & 4 ? 2600 : 12288) : 1300,
			.memory_bytes = MIB(6),
			.format = seed & 1 ? &slat_npt : &slat_ept,
			.large_pages = seed & 2,
			.large_pages_no_exec = seed & 4,
			.share = true,
			.hash_bits = seed % 3 == 0   ? 0
				     : seed % 3 == 1 ? 4
						     : 1,
		};

		if (!world_run(&options))
			return 1;
	}
	return 0;
}
