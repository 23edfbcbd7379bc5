/*
 * What the touch of a page costs that lies on a disk: bellows.bench=swap, in a VM with a swap file
 * whose debug.reclaim is EXITS: then all of its pages go once. Each of the first kind lies alone in
 * its 2 MiB, so that no neighbour comes along with it; those of the run lie side by side, and are
 * read ahead. The checksum by which the hypervisor knows a page again is measured here, too.
 */
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/bare.h"
#include "tests/emu/guests/bare/page_sum.h"

#define EXITS        4096u /* causes fewer than that besides */
#define ALONE        64u   /* of them half are read, half written */
#define RUN          256u
#define REGION_BYTES (512ul * PAGE_BYTES)
/* Until what is on its way out has left. */
#define WAIT_TICKS 10000000ull

static uint64_t alone_read[ALONE / 2], alone_write[ALONE / 2], run_read[RUN], sums[ALONE];

/* Nothing that LZ4 could shrink. */
static void page_fill(uint8_t *page)
{
	static uint64_t random = 1;
	uint64_t *words = (uint64_t *)(void *)page;

	for (uint32_t i = 0; i < PAGE_BYTES / sizeof(*words); i++)
		words[i] = random = random * 6364136223846793005ull + 1442695040888963407ull;
}

static uint64_t measure_read(const volatile uint8_t *page)
{
	uint64_t start = measure_tsc();

	*page;
	return measure_tsc() - start;
}

static void let_all_go(void)
{
	uint64_t start;

	for (uint32_t i = 0; i < EXITS; i++)
		measure_cpuid(0);
	start = measure_tsc();
	while (measure_tsc() - start < WAIT_TICKS)
		asm volatile("pause");
}

bool swap_bench(const struct bare_boot *boot)
{
	uint8_t *alone = (uint8_t *)(((uintptr_t)free_memory(boot) + REGION_BYTES - 1) &
				     -(uintptr_t)REGION_BYTES);
	uint8_t *run = alone + ALONE * REGION_BYTES;

	if ((uintptr_t)run + RUN * PAGE_BYTES > boot->memory_end)
		return false;
	for (uint32_t i = 0; i < ALONE; i++)
		page_fill(alone + i * REGION_BYTES);
	for (uint32_t i = 0; i < RUN; i++)
		page_fill(run + i * PAGE_BYTES);
	for (uint32_t i = 0; i < ALONE; i++)
		sums[i] = page_sum_measure(alone + i * REGION_BYTES);
	bench_show("page-sum", sums, ALONE);
	let_all_go();
	for (uint32_t i = 0; i < ALONE / 2; i++) {
		alone_read[i] = measure_read(alone + 2 * i * REGION_BYTES);
		alone_write[i] = measure_touch(alone + (2 * i + 1) * REGION_BYTES);
	}
	for (uint32_t i = 0; i < RUN; i++)
		run_read[i] = measure_read(run + i * PAGE_BYTES);
	bench_show("swap-read", alone_read, ALONE / 2);
	bench_show("swap-write", alone_write, ALONE / 2);
	bench_show("swap-run", run_read, RUN);
	return true;
}
