/* SRCS: boot/bootpt.c mm/base/err.c */
/*
 * The tables the hypervisor is entered with, read back by a page walk of the test's own: every
 * region's both ends, at va = pa and in the window; the image; and nothing in the holes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/bootpt.h"

#define POOL_PA    0x7654000ull
#define NOT_MAPPED ~0ull

static struct bootpt pt;
static struct bootpt_map map;
static u64 cr3;

static u64 *table_at(u64 pa)
{
	assert_true(pa >= POOL_PA && pa < POOL_PA + pt.pool_pages * PAGE_BYTES);
	assert_true(IS_ALIGNED(pa, PAGE_BYTES));
	return pt.pool + (pa - POOL_PA) / sizeof(u64);
}

static u64 walk(u64 va)
{
	u64 table = cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		u64 entry = table_at(table)[(va >> shift) & 511];

		if (!(entry & 1))
			return NOT_MAPPED;
		assert_true(entry & 2);
		table = entry & BITS(51, 12);
		if (entry & BIT(7)) {
			assert_true(shift < 39 && IS_ALIGNED(table, 1ull << shift));
			return table | (va & ((1ull << shift) - 1));
		}
	}
	fail_msg("a 4 KiB table where there are none");
	return NOT_MAPPED;
}

static err_t build(const struct boot_region *regions, u32 count, u64 max_pa, bool gib_pages)
{
	map = (struct bootpt_map){regions, count, max_pa, MIB(64), MIB(3)};
	pt = (struct bootpt){.pool_pa = POOL_PA, .gib_pages = gib_pages};
	pt.pool_pages = (u32)bootpt_pages(&map);
	pt.pool = calloc(pt.pool_pages, PAGE_BYTES);
	return bootpt_build(&pt, &map, &cr3);
}

static void assert_mapped(u64 pa)
{
	assert_true(walk(pa) == pa);
	assert_true(walk(BOOT_WINDOW_VA + pa) == pa);
}

static void assert_hole(u64 pa)
{
	assert_true(walk(pa) == NOT_MAPPED);
	assert_true(walk(BOOT_WINDOW_VA + pa) == NOT_MAPPED);
}

static void check_common(void)
{
	for (u64 pa = 0; pa < GIB(4); pa += MIB(2))
		assert_mapped(pa + 0x1234);
	for (u32 i = 0; i < map.region_count; i++) {
		const struct boot_region *r = &map.regions[i];

		if (r->base >= map.max_pa)
			continue;
		assert_mapped(r->base);
		assert_mapped(min(r->base + r->bytes, map.max_pa) - 1);
	}
	for (u64 at = 0; at < map.image_bytes; at += PAGE_BYTES)
		assert_true(walk(BOOT_IMAGE_VA + at) == map.image_pa + at);
	assert_true(walk(BOOT_IMAGE_VA + MIB(4)) == NOT_MAPPED);
	assert_true(walk(BOOT_IMAGE_VA - 1) == NOT_MAPPED);
}

static void a_small_machine_has_its_first_four_gigabytes(void **state)
{
	static const struct boot_region regions[] = {
		{.base = 0, .bytes = MIB(768), .kind = BOOT_REGION_FREE}};

	(void)state;
	for (int gib = 0; gib < 2; gib++) {
		assert_int_equal(build(regions, 1, GIB(4), gib), E_OK);
		check_common();
		assert_hole(GIB(4));
		free(pt.pool);
	}
}

static void memory_above_four_gigabytes_is_mapped_and_holes_are_not(void **state)
{
	static const struct boot_region regions[] = {
		{.base = MIB(1), .bytes = GIB(3), .kind = BOOT_REGION_FREE},
		{.base = GIB(4), .bytes = GIB(1) + MIB(5), .kind = BOOT_REGION_FREE},
		{.base = GIB(7) + MIB(1), .bytes = GIB(3), .kind = BOOT_REGION_FREE},
		{.base = GIB(10) + MIB(1), .bytes = MIB(1), .kind = BOOT_REGION_RUNTIME},
		{.base = GIB(600) - MIB(3), .bytes = MIB(3), .kind = BOOT_REGION_ACPI},
		{.base = GIB(1024) - MIB(2), .bytes = MIB(4), .kind = BOOT_REGION_FREE},
		{.base = GIB(5000), .bytes = GIB(1), .kind = BOOT_REGION_RESERVED},
	};

	(void)state;
	for (int gib = 0; gib < 2; gib++) {
		assert_int_equal(
			build(regions, ARRAY_COUNT(regions), GIB(1024) + MIB(2), gib), E_OK);
		check_common();
		for (u64 pa = GIB(4); pa < GIB(5) + MIB(5); pa += MIB(1))
			assert_mapped(pa);
		assert_hole(GIB(5) + MIB(6));
		assert_hole(GIB(7) - 1);
		assert_mapped(GIB(9) + 12345);
		assert_hole(GIB(10) + MIB(2));
		assert_hole(GIB(11));
		assert_hole(GIB(600));
		assert_hole(GIB(1024) + MIB(2));
		assert_hole(GIB(5000));
		free(pt.pool);
	}
}

static void a_terabyte_of_ram_takes_few_tables_with_large_pages(void **state)
{
	static const struct boot_region regions[] = {
		{.base = GIB(4), .bytes = GIB(1020), .kind = BOOT_REGION_FREE}};

	(void)state;
	assert_int_equal(build(regions, 1, GIB(1024), true), E_OK);
	check_common();
	assert_true(pt.used_pages < 16);
	free(pt.pool);
	assert_int_equal(build(regions, 1, GIB(1024), false), E_OK);
	check_common();
	free(pt.pool);
}

static void the_last_window_entry_does_not_touch_the_image(void **state)
{
	static const struct boot_region regions[] = {
		{.base = (255ull << 39) - MIB(2), .bytes = MIB(2), .kind = BOOT_REGION_FREE}};

	(void)state;
	assert_int_equal(build(regions, 1, 255ull << 39, true), E_OK);
	check_common();
	free(pt.pool);
}

static void a_dry_pool_is_an_error_at_every_size(void **state)
{
	static const struct boot_region regions[] = {
		{.base = GIB(512), .bytes = GIB(1), .kind = BOOT_REGION_FREE}};
	u32 needed;

	(void)state;
	assert_int_equal(build(regions, 1, GIB(513), false), E_OK);
	needed = pt.used_pages;
	for (u32 pages = 1; pages < needed; pages++) {
		memset(pt.pool, 0, pt.pool_pages * PAGE_BYTES);
		pt.pool_pages = pages;
		assert_int_equal(bootpt_build(&pt, &map, &cr3), E_LIMIT);
		pt.pool_pages = needed;
	}
	free(pt.pool);
}

static void random_maps_fit_the_pages_they_ask_for(void **state)
{
	(void)state;
	srandom(3);
	for (int round = 0; round < 100; round++) {
		struct boot_region regions[12];
		u64 at = 0;
		u32 count = 1 + (u32)random() % 12;

		for (u32 i = 0; i < count; i++) {
			at += ((u64)random() % (8 << 18)) * PAGE_BYTES;
			regions[i] = (struct boot_region){
				.base = at,
				.bytes = (1 + (u64)random() % (4 << 18)) * PAGE_BYTES,
				.kind = random() % 2 ? BOOT_REGION_FREE : BOOT_REGION_ACPI,
			};
			at += regions[i].bytes;
		}
		assert_int_equal(
			build(regions, count, max(ALIGN_UP(at, MIB(2)), GIB(4)), random() & 1),
			E_OK);
		check_common();
		free(pt.pool);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_machine_has_its_first_four_gigabytes),
		cmocka_unit_test(memory_above_four_gigabytes_is_mapped_and_holes_are_not),
		cmocka_unit_test(a_terabyte_of_ram_takes_few_tables_with_large_pages),
		cmocka_unit_test(the_last_window_entry_does_not_touch_the_image),
		cmocka_unit_test(a_dry_pool_is_an_error_at_every_size),
		cmocka_unit_test(random_maps_fit_the_pages_they_ask_for),
	};
	return cmocka_run_group_tests_name("unit/bootpt", tests, NULL, NULL);
}
