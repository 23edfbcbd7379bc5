/* SRCS: hv/kernel/e820.c */
/* The memory map of VMs of many sizes: what is RAM adds up, and all else lies where it must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/kernel/e820.h"

#define ACPI_GPA     0xe0000u
#define ACPI_BYTES   700u
#define LOW_RAM_END  0x9fc00u
#define DEVICES_BASE GIB(3)

static const u64 sizes[] = {
	MIB(1), MIB(8), MIB(128), GIB(3) - MIB(2), GIB(3), GIB(3) + PAGE_BYTES, GIB(5), GIB(1024)};

static struct e820_entry map[E820_ENTRIES_MAX];

static bool has(u32 count, u64 base, u64 bytes, u32 type)
{
	for (u32 i = 0; i < count; i++) {
		if (map[i].base == base && map[i].bytes == bytes && map[i].type == type)
			return true;
	}
	return false;
}

static void entries_ascend_and_fit(void **state)
{
	(void)state;
	for (u32 s = 0; s < ARRAY_COUNT(sizes); s++) {
		u32 count = e820_fill(map, sizes[s], ACPI_GPA, ACPI_BYTES);

		assert_in_range(count, 1, E820_ENTRIES_MAX);
		for (u32 i = 0; i < count; i++) {
			assert_true(map[i].bytes > 0);
			if (i > 0)
				assert_true(map[i].base >= map[i - 1].base + map[i - 1].bytes);
		}
	}
}

/* What is missing are the tables' 384 KiB, and the last KiB below 640. */
static void ram_adds_up_and_leaves_the_hole_to_devices(void **state)
{
	(void)state;
	for (u32 s = 0; s < ARRAY_COUNT(sizes); s++) {
		u32 count = e820_fill(map, sizes[s], ACPI_GPA, ACPI_BYTES);
		u64 sum = 0;

		for (u32 i = 0; i < count; i++) {
			if (map[i].type != E820_RAM)
				continue;
			sum += map[i].bytes;
			assert_true(map[i].base + map[i].bytes <= DEVICES_BASE ||
				    map[i].base >= GIB(4));
		}
		assert_int_equal(sum, sizes[s] - MIB(1) + LOW_RAM_END);
	}
}

static void memory_beyond_3_gib_lies_above_4(void **state)
{
	u32 count = e820_fill(map, GIB(5), ACPI_GPA, ACPI_BYTES);

	(void)state;
	assert_true(has(count, MIB(1), GIB(3) - MIB(1), E820_RAM));
	assert_true(has(count, GIB(4), GIB(2), E820_RAM));
}

static void acpi_tables_are_told_by_whole_pages(void **state)
{
	u32 count = e820_fill(map, MIB(128), ACPI_GPA, ACPI_BYTES);

	(void)state;
	assert_true(has(count, ACPI_GPA, PAGE_BYTES, E820_ACPI));
	assert_true(
		has(count, ACPI_GPA + PAGE_BYTES, MIB(1) - ACPI_GPA - PAGE_BYTES, E820_RESERVED));
	count = e820_fill(map, MIB(128), ACPI_GPA, MIB(1) - ACPI_GPA);
	assert_true(has(count, ACPI_GPA, MIB(1) - ACPI_GPA, E820_ACPI));
	for (u32 i = 0; i < count; i++)
		assert_false(map[i].base >= ACPI_GPA && map[i].type == E820_RESERVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_ascend_and_fit),
		cmocka_unit_test(ram_adds_up_and_leaves_the_hole_to_devices),
		cmocka_unit_test(memory_beyond_3_gib_lies_above_4),
		cmocka_unit_test(acpi_tables_are_told_by_whole_pages),
	};
	return cmocka_run_group_tests_name("unit/e820", tests, NULL, NULL);
}
