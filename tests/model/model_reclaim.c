/* SRCS: tests/model/vms*.c tests/fake/fake_platform.c tests/fake/fake_guest.c
   tests/fake/fake_blk.c mm */
/*
 * VMs whose pages are compressed, swapped, shared and ballooned, all at once and with too little
 * memory, equal the naive model: in both formats, with the disk completing in any order, and with a
 * disk that fails. SEED=n replays one seed; STEPS=n runs longer.
 */
#include "tests/model/vms.h"
#include <stdio.h>

int main(void)
{
	const char *steps_text = getenv("STEPS");
	u64 steps = steps_text ? strtoull(steps_text, NULL, 0) : 8000;
	u64 seed = rng_seed(20261125);

	for (u32 i = 0; i < 8; i++) {
		struct world_options options = {
			.seed = seed + i,
			.steps = steps,
			.ram_frames = i & 2 ? (i & 4 ? 3000 : 12288) : 1700,
			.memory_bytes = MIB(4),
			.format = i & 1 ? &slat_npt : &slat_ept,
			.large_pages = i & 2,
			.large_pages_no_exec = i & 4,
			.share = i % 3 == 1,
			.reclaim = true,
			.disk_faults = i % 4 == 3,
		};

		if (!world_run(&options))
			return 1;
	}
	return 0;
}
