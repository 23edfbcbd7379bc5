/* SRCS: tests/model/vms*.c tests/model/tlb_broken.c tests/fake/fake_platform.c
   tests/fake/fake_guest.c tests/fake/fake_blk.c mm !mm/space/tlb.c */
/*
 * The stale-translation checker can fail: with flushes left out, in two ways, the random model
 * finds a guest access through a stale translation, in both formats, with and without large pages.
 */
#include "tests/model/vms.h"
#include "tests/model/tlb_broken.h"
#include <stdio.h>

int main(void)
{
	u64 seed = rng_seed(7);
	int missed = 0;

	for (u32 i = 0; i < 8; i++) {
		struct world_options options = {
			.seed = seed + i,
			.steps = 20000,
			.ram_frames = 12288,
			.memory_bytes = MIB(6),
			.format = i & 1 ? &slat_npt : &slat_ept,
			.large_pages = i & 2,
			.stop_on_violation = true,
		};

		tlb_mistake = i & 4 ? TLB_NO_KICK : TLB_NO_FLUSH;
		if (world_run(&options)) {
			printf("seed %llu: mistake %d was not noticed\n",
				(unsigned long long)options.seed, (int)tlb_mistake);
			missed++;
		}
	}
	printf("%d of 8 broken runs went unnoticed\n", missed);
	return missed != 0;
}
