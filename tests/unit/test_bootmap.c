/* SRCS: boot/bootmap.c mm/base/err.c */
/*
 * Memory map to regions: known firmware maps, and random ones (unsorted, overlapping, absurd)
 * against a model that asks page by page which claim is the strictest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/bootmap.h"

enum {
	LOADER_DATA = 2,
	BOOT_DATA = 4,
	RUNTIME_DATA = 6,
	CONVENTIONAL = 7,
	ACPI = 9,
	NVS = 10,
	MMIO = 11
};
#define WB      BIT(3)
#define RUNTIME BIT(63)
#define STRIDE  48 /* as EDK II has it: more than the structure */

static u8 descs[64 * STRIDE];
static struct bootmap_own own[16];
static struct bootmap_input in;
static struct boot_region regions[512];
static u64 edges[512];

static int begin(void **state)
{
	(void)state;
	in = (struct bootmap_input){.descs = descs, .stride = STRIDE, .own = own};
	return 0;
}

static void desc(u32 type, u64 base, u64 page_count, u64 attributes)
{
	struct bootmap_desc d = {
		.type = type, .physical = base, .page_count = page_count, .attributes = attributes};

	memcpy(descs + in.desc_bytes, &d, sizeof(d));
	in.desc_bytes += STRIDE;
}

static void hold(u64 base, u64 bytes, u32 kind)
{
	own[in.own_count++] = (struct bootmap_own){base, bytes, kind};
}

static void expect(int i, u64 base, u64 end, u32 kind)
{
	assert_true(regions[i].base == base);
	assert_true(regions[i].base + regions[i].bytes == end);
	assert_int_equal(regions[i].kind, kind);
}

static int build(void)
{
	size_t room = bootmap_room(&in);

	assert_true(room <= ARRAY_COUNT(regions));
	return bootmap_build(&in, edges, regions, room);
}

static void boot_memory_becomes_free_and_joined(void **state)
{
	(void)state;
	desc(CONVENTIONAL, MIB(1), 256, WB);
	desc(LOADER_DATA, MIB(2), 256, WB | BIT(1));
	desc(BOOT_DATA, MIB(3), 256, WB);
	assert_int_equal(build(), 1);
	expect(0, MIB(1), MIB(4), BOOT_REGION_FREE);
	assert_int_equal(regions[0].efi_type, CONVENTIONAL);
}

static void what_the_loader_holds_is_split_out_by_kind(void **state)
{
	(void)state;
	desc(LOADER_DATA, MIB(2), 1024, WB);
	hold(MIB(4), 0x3000, BOOT_REGION_IMAGE);
	hold(MIB(3), 0x1000, BOOT_REGION_FILES);
	hold(MIB(3) + 0x1000, 0x1000, BOOT_REGION_FILES);
	hold(MIB(3) + 0x2000, 0x1000, BOOT_REGION_LOADER);
	assert_int_equal(build(), 6);
	expect(0, MIB(2), MIB(3), BOOT_REGION_FREE);
	expect(1, MIB(3), MIB(3) + 0x2000, BOOT_REGION_FILES);
	expect(2, MIB(3) + 0x2000, MIB(3) + 0x3000, BOOT_REGION_LOADER);
	expect(3, MIB(3) + 0x3000, MIB(4), BOOT_REGION_FREE);
	expect(4, MIB(4), MIB(4) + 0x3000, BOOT_REGION_IMAGE);
	expect(5, MIB(4) + 0x3000, MIB(6), BOOT_REGION_FREE);
}

static void low_memory_is_not_free_but_the_trampoline_is_kept(void **state)
{
	(void)state;
	desc(CONVENTIONAL, 0, 512, WB);
	hold(0x9f000, 0x1000, BOOT_REGION_TRAMPOLINE);
	assert_int_equal(build(), 4);
	expect(0, 0, 0x9f000, BOOT_REGION_RESERVED);
	expect(1, 0x9f000, 0xa0000, BOOT_REGION_TRAMPOLINE);
	expect(2, 0xa0000, MIB(1), BOOT_REGION_RESERVED);
	expect(3, MIB(1), MIB(2), BOOT_REGION_FREE);
}

static void only_plain_write_back_ram_is_free(void **state)
{
	(void)state;
	desc(CONVENTIONAL, MIB(1), 1, BIT(0));
	desc(CONVENTIONAL, MIB(2), 1, WB | BIT(18));
	desc(14, MIB(3), 1, WB); /* persistent memory */
	desc(15, MIB(4), 1, WB); /* unaccepted memory */
	desc(0x80000001, MIB(5), 1, WB);
	desc(ACPI, MIB(6), 1, WB);
	desc(NVS, MIB(6) + 0x1000, 1, WB);
	desc(RUNTIME_DATA, MIB(7), 1, WB | RUNTIME);
	desc(MMIO, MIB(8), 1, RUNTIME);
	assert_int_equal(build(), 9);
	for (int i = 0; i < 5; i++)
		assert_int_equal(regions[i].kind, BOOT_REGION_RESERVED);
	assert_int_equal(regions[5].kind, BOOT_REGION_ACPI);
	assert_int_equal(regions[6].kind, BOOT_REGION_ACPI);
	assert_int_equal(regions[6].efi_type, NVS);
	assert_int_equal(regions[7].kind, BOOT_REGION_RUNTIME);
	assert_int_equal(regions[8].kind, BOOT_REGION_MMIO);
}

static void the_window_covers_ram_and_what_the_firmware_keeps(void **state)
{
	(void)state;
	desc(CONVENTIONAL, MIB(1), 256, WB);
	assert_true(bootmap_max_pa(regions, (u32)build()) == GIB(4));
	desc(CONVENTIONAL, GIB(4), 0x1001, WB);
	desc(0, GIB(64), 16, 0);
	assert_true(bootmap_max_pa(regions, (u32)build()) == GIB(4) + MIB(18));
	desc(MMIO, GIB(512), 1, RUNTIME);
	assert_true(bootmap_max_pa(regions, (u32)build()) == GIB(512) + MIB(2));
	desc(CONVENTIONAL, BOOTMAP_TOP - GIB(1), 1 << 20, WB);
	assert_true(bootmap_max_pa(regions, (u32)build()) == BOOTMAP_TOP);
	assert_int_equal(regions[build() - 1].kind, BOOT_REGION_RESERVED);
}

static void unusable_arguments_are_refused(void **state)
{
	(void)state;
	desc(CONVENTIONAL, MIB(1), 256, WB);
	assert_int_equal(bootmap_build(&in, edges, regions, bootmap_room(&in) - 1), E_LIMIT);
	in.stride = 39;
	assert_int_equal(bootmap_build(&in, edges, regions, 512), E_INVAL);
}

/* Page by page: the strictest of all claims. Mirrors the rules of bootmap.h, not its method. */
static const u8 strictness[] = {0, 1, 2, 2, 2, 2, 4, 3, 6, 5};

static u32 kind_of_type(u32 type, u64 attributes)
{
	bool plain = (attributes & WB) && !(attributes & BIT(18));

	switch (type) {
	case 1:
	case 2:
	case 3:
	case 4:
	case 7:
		return plain ? BOOT_REGION_FREE : BOOT_REGION_RESERVED;
	case 5:
	case 6:
		return BOOT_REGION_RUNTIME;
	case 9:
	case 10:
		return BOOT_REGION_ACPI;
	case 11:
	case 12:
		return BOOT_REGION_MMIO;
	default:
		return BOOT_REGION_RESERVED;
	}
}

static u32 model_kind(u64 page)
{
	u32 best = 0;

	for (size_t i = 0; i < in.desc_bytes / STRIDE; i++) {
		struct bootmap_desc d;
		u32 kind;
		u64 first, last;

		memcpy(&d, descs + i * STRIDE, sizeof(d));
		kind = kind_of_type(d.type, d.attributes);
		first = d.physical / PAGE_BYTES;
		last = d.physical / PAGE_BYTES + d.page_count; /* exclusive */
		if (d.page_count && d.physical % PAGE_BYTES) {
			first += kind == BOOT_REGION_FREE;
			last += kind != BOOT_REGION_FREE;
		}
		if (page >= first && page < last && strictness[kind] > strictness[best])
			best = kind;
	}
	for (u32 i = 0; i < in.own_count; i++) {
		u64 first = own[i].base / PAGE_BYTES, last = first + own[i].bytes / PAGE_BYTES;

		if (page >= first && page < last && strictness[own[i].kind] > strictness[best])
			best = own[i].kind;
	}
	if (best == BOOT_REGION_FREE && page < 256)
		best = BOOT_REGION_RESERVED;
	return best;
}

static bool same_class(u32 a, u32 b)
{
	return a == b || (strictness[a] == 2 && strictness[b] == 2);
}

static void random_maps_match_a_page_by_page_model(void **state)
{
	(void)state;
	srandom(7);
	for (int round = 0; round < 3000; round++) {
		int count, r = 0;
		u64 last_end = 0;

		begin(NULL);
		for (int n = random() % 20; n > 0; n--)
			desc(random() % 16,
				(200 + random() % 120) * PAGE_BYTES +
					(random() % 8 ? 0 : (u64)random() % PAGE_BYTES),
				random() % 40, random() % 4 ? WB : (u64)random() % BIT(20));
		for (int n = random() % 6; n > 0; n--)
			hold((200 + random() % 120) * PAGE_BYTES, (random() % 10) * PAGE_BYTES,
				2 + random() % 4);
		count = build();
		assert_true(count >= 0);
		for (int i = 0; i < count; i++) {
			assert_true(regions[i].bytes > 0 && regions[i].base >= last_end);
			assert_true(IS_ALIGNED(regions[i].base | regions[i].bytes, PAGE_BYTES));
			last_end = regions[i].base + regions[i].bytes;
		}
		for (u64 page = 190; page < 380; page++) {
			u64 at = page * PAGE_BYTES;

			while (r < count && regions[r].base + regions[r].bytes <= at)
				r++;
			assert_true(same_class(model_kind(page),
				r < count && regions[r].base <= at ? regions[r].kind : 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(boot_memory_becomes_free_and_joined, begin),
		cmocka_unit_test_setup(what_the_loader_holds_is_split_out_by_kind, begin),
		cmocka_unit_test_setup(low_memory_is_not_free_but_the_trampoline_is_kept, begin),
		cmocka_unit_test_setup(only_plain_write_back_ram_is_free, begin),
		cmocka_unit_test_setup(the_window_covers_ram_and_what_the_firmware_keeps, begin),
		cmocka_unit_test_setup(unusable_arguments_are_refused, begin),
		cmocka_unit_test_setup(random_maps_match_a_page_by_page_model, begin),
	};
	return cmocka_run_group_tests_name("unit/bootmap", tests, NULL, NULL);
}
