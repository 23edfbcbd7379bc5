/* See host_platform.h. */
#include "tests/bench/host_platform.h"
#include "mm/fault/fault_guard.h"
#include "mm/frame/frame.h"
#include "mm/memsched/memsched.h"
#include "mm/platform.h"
#include "mm/share/share.h"
#include "mm/space/tlb.h"
#include "mm/zcache/zcache.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define HV_FRAMES 64u /* below the free ones, as the hypervisor's image is */

static unsigned char *ram;
static u32 cpu_count;
static __thread u32 cpu_here;

void *platform_frame_va(pfn_t pfn)
{
	return ram + pfn.v * PAGE_BYTES;
}

pfn_t platform_va_frame(const void *va)
{
	return PFN((u64)((const unsigned char *)va - ram) / PAGE_BYTES);
}

u32 platform_cpu_id(void)
{
	return cpu_here;
}

u32 platform_cpu_count(void)
{
	return cpu_count;
}

void platform_kick(u32 cpu)
{
	(void)cpu;
}

void platform_wake(struct space *space)
{
	(void)space;
}

u64 platform_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000000000ull + (u64)now.tv_nsec;
}

bool platform_random(u64 *out)
{
	return getrandom(out, sizeof(*out), 0) == sizeof(*out);
}

void platform_library_begin(void)
{
}

void platform_library_end(void)
{
}

void platform_log(enum log_level level, const char *line)
{
	if (level <= LOG_WARN)
		fprintf(stderr, "mm: %s\n", line);
}

void platform_panic(const char *what)
{
	fprintf(stderr, "panic: %s\n", what);
	abort();
}

/* Memory that is there, so that no page fault of ours is measured for one of mm's. */
static void *present_memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	/* In large pages, where there are any, as the hypervisor has its window on all frames. */
	madvise(at, bytes, MADV_HUGEPAGE);
	memset(at, 0, bytes);
	return at;
}

void host_platform_cpu_set(u32 cpu)
{
	cpu_here = cpu;
}

void host_platform_start(u64 frame_count)
{
	host_platform_start_cpus(frame_count, 1);
}

void host_platform_start_cpus(u64 frame_count, u32 cpus)
{
	const struct frame_range ranges[] = {
		{PFN(0), HV_FRAMES, FRAME_HV}, {PFN(HV_FRAMES), frame_count, FRAME_FREE}};
	pfn_t end = PFN(HV_FRAMES + frame_count);

	cpu_count = cpus;
	ram = present_memory(end.v * PAGE_BYTES);
	frame_init(present_memory(frame_table_bytes(end)),
		present_memory(frame_region_table_bytes(end)), end, ranges, ARRAY_COUNT(ranges));
	if (frame_init_cpus() != E_OK || tlb_init_cpus() != E_OK ||
		fault_guard_init_cpus() != E_OK || share_init() != E_OK ||
		zcache_init_cpus() != E_OK) {
		fprintf(stderr, "mm does not start\n");
		exit(1);
	}
	memsched_init();
}
