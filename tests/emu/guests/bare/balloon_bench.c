/*
 * What giving pages to the balloon costs, a round trip: bellows.bench=balloon-4k for full lists of
 * pages that were written to (the VM must not have large ones), bellows.bench=balloon-2m for 2 MiB
 * that one leaf maps. A sample is ticks for one call; both fit into what a balloon may be above its
 * target, which is nothing.
 */
#include "hv/abi/balloon.h"
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/bare.h"

#define RUNS          16u
#define REGION_PAGES  512u
#define VERSION_FIRST (1ull << 48)

static uint64_t list[BELLOWS_BALLOON_LIST_MAX] __attribute__((aligned(4096)));
static uint64_t samples[RUNS];

static bool hello(void)
{
	return hypercall(BELLOWS_HC_VERSION, BELLOWS_ABI_VERSION) == BELLOWS_ABI_VERSION &&
	       hypercall4(BELLOWS_HC_BALLOON_HELLO, BELLOWS_GUEST_TEST | VERSION_FIRST, 0, 0, 0) ==
		       0;
}

static bool sample(uint32_t run, uint64_t entries, uint64_t order)
{
	uint64_t start = measure_tsc();
	int64_t taken = hypercall4(BELLOWS_HC_BALLOON_INFLATE, (uintptr_t)list, entries, order, 0);

	samples[run] = measure_tsc() - start;
	return taken == (int64_t)entries &&
	       hypercall4(BELLOWS_HC_BALLOON_DEFLATE, (uintptr_t)list, entries, order, 0) == taken;
}

bool balloon_bench(const struct bare_boot *boot, bool large)
{
	uint64_t first = ((uintptr_t)free_memory(boot) / PAGE_BYTES + REGION_PAGES - 1) &
			 ~(REGION_PAGES - 1ull);
	uint64_t entries = large ? 1 : REGION_PAGES;
	bool ok = (first + REGION_PAGES) * PAGE_BYTES <= boot->memory_end && hello();

	for (uint64_t i = 0; i < entries; i++)
		list[i] = first + i;
	for (uint32_t run = 0; ok && run < RUNS; run++) {
		for (uint64_t i = 0; i < REGION_PAGES; i++)
			*(volatile uint8_t *)(uintptr_t)((first + i) * PAGE_BYTES) = 1;
		ok = sample(
			run, entries, large ? BELLOWS_BALLOON_ORDER_2M : BELLOWS_BALLOON_ORDER_4K);
	}
	if (ok)
		bench_show(large ? "balloon-2m" : "balloon-4k", samples, RUNS);
	return ok;
}
