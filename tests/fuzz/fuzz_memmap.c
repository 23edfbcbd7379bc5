/* SRCS: boot/bootmap.c boot/bootpt.c mm/base/err.c */
/*
 * Any bytes as the firmware's memory map: the regions come out sorted, apart and aligned, only RAM
 * that some descriptor names is free, and page tables can be made for them.
 *
 * Input: own-range count, then ranges and descriptors as the structures lie in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "boot/bootmap.h"
#include "boot/bootpt.h"

#define OWN_MAX       4
#define DESC_MAX      40
#define POOL_PAGE_MAX 2048

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* What the loader holds comes from its own bookkeeping: whole pages, no overflow. */
static size_t take_own(const u8 *data, size_t bytes, struct bootmap_own *own, u32 *count)
{
	size_t at = 1;
	u32 wanted = bytes ? data[0] % (OWN_MAX + 1) : 0;

	for (*count = 0; *count < wanted && bytes >= at + 13; (*count)++) {
		u64 base;
		u32 pages;

		memcpy(&base, data + at, 8);
		memcpy(&pages, data + at + 8, 4);
		own[*count] = (struct bootmap_own){
			.base = ALIGN_DOWN(base % BIT(46), PAGE_BYTES),
			.bytes = pages % 4096 * PAGE_BYTES,
			.kind = BOOT_REGION_LOADER + data[at + 12] % 4,
		};
		at += 13;
	}
	return at < bytes ? at : bytes;
}

static bool some_desc_has(const struct bootmap_input *in, u64 pa)
{
	for (size_t at = 0; at + in->stride <= in->desc_bytes; at += in->stride) {
		struct bootmap_desc d;

		memcpy(&d, (const u8 *)in->descs + at, sizeof(d));
		if (d.physical <= pa && (pa - d.physical) / PAGE_BYTES < d.page_count)
			return true;
	}
	return false;
}

static void check_regions(const struct bootmap_input *in, const struct boot_region *r, u32 count)
{
	u64 end = 0;

	for (u32 i = 0; i < count; i++) {
		require(r[i].base >= end && r[i].bytes > 0);
		end = r[i].base + r[i].bytes;
		require(end > r[i].base && end <= BIT(52));
		require(IS_ALIGNED(r[i].base | r[i].bytes, PAGE_BYTES));
		require(r[i].kind >= BOOT_REGION_FREE && r[i].kind <= BOOT_REGION_MMIO);
		if (r[i].kind != BOOT_REGION_FREE)
			continue;
		require(r[i].base >= BOOTMAP_LOW_BYTES && end <= BOOTMAP_TOP);
		require(some_desc_has(in, r[i].base) && some_desc_has(in, end - 1));
	}
}

static void check_tables(const struct boot_region *regions, u32 count)
{
	struct bootpt_map map = {regions, count, bootmap_max_pa(regions, count), MIB(32), MIB(2)};
	struct bootpt pt = {.pool_pa = MIB(64), .gib_pages = true};
	u64 cr3, pages = bootpt_pages(&map);

	require(map.max_pa >= GIB(4) && map.max_pa <= BOOTMAP_TOP);
	if (pages > POOL_PAGE_MAX)
		return; /* right, and slow */
	pt.pool_pages = (u32)pages;
	pt.pool = calloc(pages, PAGE_BYTES);
	require(bootpt_build(&pt, &map, &cr3) == E_OK);
	free(pt.pool);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct bootmap_own own[OWN_MAX];
	struct bootmap_input in = {.own = own, .stride = sizeof(struct bootmap_desc)};
	u64 edges[2 * (DESC_MAX + OWN_MAX) + 2];
	struct boot_region regions[ARRAY_COUNT(edges)];
	size_t skip = take_own(data, bytes, own, &in.own_count);
	int count;

	in.descs = data + skip;
	in.desc_bytes = min(bytes - skip, DESC_MAX * in.stride);
	count = bootmap_build(&in, edges, regions, ARRAY_COUNT(regions));
	require(count >= 0);
	check_regions(&in, regions, (u32)count);
	check_tables(regions, (u32)count);
	return 0;
}
