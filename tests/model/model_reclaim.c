/* SRCS: tests/model/vms*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/*
 * VMs whose pages are compressed, swapped, shared and ballooned, all at once and with too little
 * memory, equal the naive model: in both formats, with the disk completing in any order, and with a
 * disk that fails. A world goes by its seed alone: SEED=n begins with that one,
 * STEPS=n runs longer.
 */
#include "tests/model/vms.h"
#include <stdio.h>

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 8000;
	u64 first = rng_seed(20261125);

	for (u64 seed = first; seed < first + 8; seed++) {
		struct world_options options = {
			.seed = seed,
			.steps = steps,
			.ram_frames = seed & 2 ? (seed & 4 ? 3000 : 12288) : 1700,
			.memory_bytes = MIB(4),
			.format = seed & 1 ? &slat_npt : &slat_ept,
			.large_pages = seed & 2,
			.large_pages_no_exec = seed & 4,
			.share = seed % 3 == 1,
			.reclaim = true,
			.disk_faults = seed % 4 == 3,
		};

		if (!world_run(&options))
			return 1;
	}
	return 0;
}
