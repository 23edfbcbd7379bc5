/* SRCS: tests/bench/host_platform.c mm */
/*
 * fault.zero on the host: fault_handle() for the first write to pages, beside the kernel's own page
 * fault for the first write to anonymous memory. Both find a frame, zero it and map it; the
 * kernel's figure has the exception and the return in it, ours has no VM exit, which fault.zero
 * counts.
 */
#include "tests/bench/host_platform.h"
#include "tests/bench/timing.h"
#include "mm/fault/fault.h"
#include "mm/space/space.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGES 16384u

static double ours(struct space *space)
{
	double start = timing_cpu_s();

	for (u64 page = 0; page < PAGES; page++) {
		if (fault_handle(space, GPA(page * PAGE_BYTES), SLAT_WRITE) != FAULT_DONE)
			abort();
	}
	return timing_cpu_s() - start;
}

static double kernels(void)
{
	size_t bytes = PAGES * PAGE_BYTES;
	volatile char *at =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double start, spent;

	if (at == MAP_FAILED)
		abort();
	madvise((void *)at, bytes, MADV_NOHUGEPAGE);
	start = timing_cpu_s();
	for (size_t page = 0; page < PAGES; page++)
		at[page * PAGE_BYTES] = 1;
	spent = timing_cpu_s() - start;
	munmap((void *)at, bytes);
	return spent;
}

int main(void)
{
	struct space_config config = {
		.name = "bench", .memory_bytes = PAGES * PAGE_BYTES, .format = &slat_ept};
	struct space *space;

	host_platform_start(PAGES + 4096);
	if (space_create(&space, &config) != E_OK)
		abort();
	for (u32 run = 0; run < TIMING_RUNS; run++) {
		timing_sample("ours", ours(space) * 1e9 / PAGES);
		timing_sample("peer", kernels() * 1e9 / PAGES);
		space_clear(space);
	}
	return 0;
}
