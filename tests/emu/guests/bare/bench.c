/*
 * What an exit costs, measured from inside. bellows.bench=cpuid times CPUID, bellows.bench=touch
 * the first write to pages (the VM must not have large ones), bellows.bench=cow that to pages that
 * the hypervisor has found to be alike; balloon_bench.c has those of the balloon,
 * zip.c that of compressed pages, swap_bench.c that of swapped ones. Each result is a line "BENCH
 * name count= min= median= mean= max=", in TSC ticks.
 */
#include "tests/bench/measure.h"
#include "tests/emu/guests/bare/balloon.h"
#include "tests/emu/guests/bare/bare.h"

#define CPUID_RUNS 512u
#define TOUCH_RUNS 2048u
#define ZERO_RUNS  64u
#define COW_RUNS   128u

/* Ten seconds of Bochs: a scan that is never idle looks at a few pages in 10 ms there. */
#define COW_WAIT_TICKS 1000000000ull

static uint64_t samples[TOUCH_RUNS];

void bench_show(const char *name, uint64_t *ticks, uint32_t count)
{
	struct measured m = measure_sum_up(ticks, count);

	print("BENCH ");
	print(name);
	print_number(" count=", m.count);
	print_number(" min=", m.min);
	print_number(" median=", m.median);
	print_number(" mean=", m.mean);
	print_number(" max=", m.max);
	print("\n");
}

static void bench_cpuid(const char *name, uint32_t leaf)
{
	for (uint32_t i = 0; i < CPUID_RUNS; i++)
		samples[i] = measure_cpuid(leaf);
	bench_show(name, samples, CPUID_RUNS);
}

static void bench_nothing(void)
{
	for (uint32_t i = 0; i < CPUID_RUNS; i++)
		samples[i] = measure_nothing();
	bench_show("nothing", samples, CPUID_RUNS);
}

/* One of so many first writes also makes the table for its 2 MiB, or fetches a batch of frames: see
 * the mean. */
static bool bench_touch(const struct bare_boot *boot)
{
	uint8_t *pages = free_memory(boot);

	if ((uintptr_t)pages + TOUCH_RUNS * PAGE_BYTES > boot->memory_end)
		return false;
	for (uint32_t i = 0; i < TOUCH_RUNS; i++)
		samples[i] = measure_touch(pages + (uint64_t)i * PAGE_BYTES);
	bench_show("touch", samples, TOUCH_RUNS);
	for (uint32_t i = 0; i < ZERO_RUNS; i++)
		samples[i] = measure_zero(pages + (uint64_t)i * PAGE_BYTES);
	bench_show("zero", samples, ZERO_RUNS);
	return true;
}

/* Pages that are all alike; the hypervisor has COW_WAIT_TICKS to find out. */
static bool bench_cow(const struct bare_boot *boot)
{
	uint8_t *pages = free_memory(boot);
	uint64_t start;

	if ((uintptr_t)pages + 2 * COW_RUNS * PAGE_BYTES > boot->memory_end)
		return false;
	for (uint32_t i = 0; i < 2 * COW_RUNS * PAGE_BYTES; i++)
		pages[i] = (uint8_t)(i % PAGE_BYTES / 16 + 1);
	start = measure_tsc();
	while (measure_tsc() - start < COW_WAIT_TICKS)
		asm volatile("pause");
	for (uint32_t i = 0; i < COW_RUNS; i++)
		samples[i] = measure_touch(pages + (uint64_t)i * PAGE_BYTES);
	bench_show("cow", samples, COW_RUNS);
	for (uint32_t i = 0; i < ZERO_RUNS; i++)
		samples[i] = measure_copy(pages + (uint64_t)i * PAGE_BYTES,
			pages + (uint64_t)(COW_RUNS + i) * PAGE_BYTES);
	bench_show("copy", samples, ZERO_RUNS);
	return true;
}

void bench_run(const struct bare_boot *boot, const char *what)
{
	bool ok = true;

	bench_nothing();
	if (is_word(what, "cpuid")) {
		bench_cpuid("cpuid-0", 0);
		bench_cpuid("cpuid-1", 1);
		bench_cpuid("cpuid-7", 7);
		bench_cpuid("cpuid-b", 0xb);
		bench_cpuid("cpuid-d", 0xd);
		bench_cpuid("cpuid-40000000", 0x40000000);
	} else if (is_word(what, "touch")) {
		ok = bench_touch(boot);
	} else if (is_word(what, "cow")) {
		ok = bench_cow(boot);
	} else if (is_word(what, "zip")) {
		ok = zip_bench(boot);
	} else if (is_word(what, "swap")) {
		ok = swap_bench(boot);
	} else if (is_word(what, "balloon-4k")) {
		ok = balloon_bench(boot, false);
	} else if (is_word(what, "balloon-2m")) {
		ok = balloon_bench(boot, true);
	} else {
		ok = false;
	}
	print(ok ? "WORKLOAD ok profile=bench\n"
		 : "WORKLOAD FAIL no such bench, or no memory for it\n");
	power_off();
}
