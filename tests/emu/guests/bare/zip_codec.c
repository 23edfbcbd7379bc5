/* mm/zcache/zcache_codec.c, with what it and LZ4 want of a platform: see zip_codec.h. */
#include "tests/emu/guests/bare/zip_codec.h"
#include "mm/frame/frame.h"
#include "mm/platform.h"
#include "mm/zcache/zcache_codec.h"
#include "tests/bench/measure.h"
#include <lz4.h>

static uint8_t work[6 * PAGE_BYTES] __attribute__((aligned(4096)));

void *platform_frame_va(pfn_t pfn)
{
	return (void *)(uintptr_t)(pfn.v * PAGE_BYTES);
}

u32 platform_cpu_id(void)
{
	return 0;
}

u32 platform_cpu_count(void)
{
	return 1;
}

void platform_library_begin(void)
{
}

void platform_library_end(void)
{
}

pfn_t frame_alloc_run(enum frame_kind kind, u64 count)
{
	(void)kind;
	return count <= sizeof(work) / PAGE_BYTES ? PFN((uintptr_t)work / PAGE_BYTES) : PFN_NONE;
}

/* Nothing here may call these. */
noreturn_fn void __stack_chk_fail(void);
void *calloc(size_t count, size_t bytes);
void free(void *at);

void __stack_chk_fail(void)
{
	__builtin_trap();
}

void *calloc(size_t count, size_t bytes)
{
	(void)count, (void)bytes;
	__builtin_trap();
}

void free(void *at)
{
	(void)at;
	__builtin_trap();
}

bool zip_codec_measure(const uint8_t *page, uint64_t *checksum_ticks, uint64_t *lz4_ticks)
{
	static uint8_t back[PAGE_BYTES] __attribute__((aligned(4096)));
	static bool is_ready;
	struct zcache_packed *packed;
	uint64_t start;
	u32 bytes, checksum;
	int made;

	is_ready = is_ready || zcache_init_cpus() == 0;
	packed = zcache_work();
	if (!is_ready || zcache_pack(page, packed, &bytes))
		return false;
	start = measure_tsc();
	checksum = zcache_checksum(packed->lz4, bytes);
	*checksum_ticks = measure_tsc() - start;
	start = measure_tsc();
	made = LZ4_decompress_safe(
		(const char *)packed->lz4, (char *)back, (int)bytes, (int)PAGE_BYTES);
	*lz4_ticks = measure_tsc() - start;
	return checksum == packed->checksum && made == (int)PAGE_BYTES;
}
