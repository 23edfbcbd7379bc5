/* SRCS: tests/model/vms*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/*
 * VMs whose pages are often alike, scanned for sharing all the time, equal the naive model: with
 * guests' writes, pins, resets and ends of VMs on other CPUs between any two steps of a merge, with
 * hashes cut so short that false matches are the rule, in both formats, with and without large
 * pages, with memory running out. SEED=n replays one seed; STEPS=n runs longer.
 */
#include "tests/model/vms.h"
#include <stdio.h>

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 8000;
	u64 seed = rng_seed(20241101);

	for (u32 i = 0; i < 8; i++) {
		struct world_options options = {
			.seed = seed + i,
			.steps = steps,
			.ram_frames = i & 2 ? (i & 4 ? 2600 : 12288) : 1300,
			.memory_bytes = MIB(6),
			.format = i & 1 ? &slat_npt : &slat_ept,
			.large_pages = i & 2,
			.large_pages_no_exec = i & 4,
			.share = true,
			.hash_bits = i % 3 == 0   ? 0
				     : i % 3 == 1 ? 4
						  : 1,
		};

		if (!world_run(&options))
			return 1;
	}
	return 0;
}
