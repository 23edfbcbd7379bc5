/* SRCS: boot/bootacpi.c mm/base/err.c */
/*
 * CPUs from ACPI tables, in a little physical memory of the test's own that refuses every byte
 * outside it: good tables by both roads, and each field in turn damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "boot/bootacpi.h"

#define MEMORY_PA 0xe0000ull
#define RSDP      0x000
#define RSDT      0x100
#define XSDT      0x200
#define OTHER     0x300
#define MADT      0x400

static u8 *ram;
static const size_t ram_bytes = 0x500;
static struct boot_cpu cpus[8];
static struct bootacpi_cpus list;

static const void *at(const struct bootacpi_memory *memory, u64 pa, size_t bytes)
{
	(void)memory;
	if (pa < MEMORY_PA || pa - MEMORY_PA > ram_bytes || bytes > ram_bytes - (pa - MEMORY_PA))
		return NULL;
	return ram + (pa - MEMORY_PA);
}
static const struct bootacpi_memory memory = {.at = at};

static void put32(u32 where, u32 v)
{
	memcpy(ram + where, &v, 4);
}

static void put64(u32 where, u64 v)
{
	memcpy(ram + where, &v, 8);
}

static void sum(u32 from, u32 bytes, u32 checksum_at)
{
	u8 s = 0;

	ram[checksum_at] = 0;
	for (u32 i = 0; i < bytes; i++)
		s = (u8)(s + ram[from + i]);
	ram[checksum_at] = (u8)-s;
}

static void seal_table(u32 table)
{
	u32 bytes;

	memcpy(&bytes, ram + table + 4, 4);
	sum(table, bytes, table + 9);
}

static void seal_rsdp(void)
{
	sum(RSDP, 20, RSDP + 8);
	sum(RSDP, 36, RSDP + 32);
}

static void header(u32 table, const char *signature, u32 bytes)
{
	memcpy(ram + table, signature, 4);
	put32(table + 4, bytes);
}

/* Adds an entry at the MADT's end. */
static void entry(const u8 *bytes)
{
	u32 length;

	memcpy(&length, ram + MADT + 4, 4);
	memcpy(ram + MADT + length, bytes, bytes[1]);
	put32(MADT + 4, length + bytes[1]);
	seal_table(MADT);
}

static int begin(void **state)
{
	(void)state;
	ram = calloc(1, ram_bytes);
	list = (struct bootacpi_cpus){.cpus = cpus, .room = ARRAY_COUNT(cpus)};
	memcpy(ram + RSDP, "RSD PTR ", 8);
	ram[RSDP + 15] = 2;
	put32(RSDP + 16, MEMORY_PA + RSDT);
	put32(RSDP + 20, 36);
	put64(RSDP + 24, MEMORY_PA + XSDT);
	seal_rsdp();
	header(RSDT, "RSDT", 36 + 8);
	put32(RSDT + 36, MEMORY_PA + OTHER);
	put32(RSDT + 40, MEMORY_PA + MADT);
	seal_table(RSDT);
	header(XSDT, "XSDT", 36 + 24);
	put64(XSDT + 36, 0xdead000000000000ull);
	put64(XSDT + 44, MEMORY_PA + OTHER);
	put64(XSDT + 52, MEMORY_PA + MADT);
	seal_table(XSDT);
	header(OTHER, "FACP", 0xffffffff);
	header(MADT, "APIC", 44);
	entry((const u8[]){0, 8, 0, 0, 1, 0, 0, 0});
	entry((const u8[]){1, 12, 9, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0});
	entry((const u8[]){0, 8, 1, 2, 1, 0, 0, 0});
	entry((const u8[]){0, 8, 2, 4, 2, 0, 0, 0}); /* may be plugged in; is not there */
	entry((const u8[]){0, 8, 3, 0xff, 1, 0, 0, 0});
	entry((const u8[]){9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0});
	entry((const u8[]){9, 16, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0}); /* named twice */
	return 0;
}

static int end(void **state)
{
	(void)state;
	free(ram);
	return 0;
}

static err_t read_list(void)
{
	list.count = list.dropped_count = 0;
	return bootacpi_list_cpus(&memory, MEMORY_PA + RSDP, &list);
}

static void expect_three_cpus(void)
{
	static const u32 ids[] = {0, 2, 0x100};

	assert_int_equal(read_list(), E_OK);
	assert_int_equal(list.count, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(cpus[i].apic_id, ids[i]);
		assert_int_equal(cpus[i].flags, BOOT_CPU_ENABLED);
	}
}

static void enabled_cpus_are_listed_once(void **state)
{
	(void)state;
	expect_three_cpus();
}

static void the_32_bit_road_leads_there_too(void **state)
{
	(void)state;
	ram[RSDP + 15] = 0;
	seal_rsdp();
	expect_three_cpus();
	ram[RSDP + 15] = 2;
	put64(RSDP + 24, 0);
	seal_rsdp();
	expect_three_cpus();
	put64(RSDP + 24, MEMORY_PA + OTHER);
	seal_rsdp();
	expect_three_cpus();
}

static void more_cpus_than_there_is_room_for_are_counted(void **state)
{
	(void)state;
	list.room = 2;
	assert_int_equal(read_list(), E_OK);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.dropped_count, 1);
}

static void a_wrong_checksum_anywhere_on_the_way_is_seen(void **state)
{
	static const u32 spots[] = {RSDP + 9, RSDP + 33, MADT + 40, MADT + 50};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(spots); i++) {
		ram[spots[i]] ^= 0x10;
		assert_int_equal(read_list(), E_CORRUPT);
		ram[spots[i]] ^= 0x10;
	}
	/* With a broken XSDT the RSDT is still good; with both, nothing is. */
	ram[XSDT + 20] ^= 1;
	expect_three_cpus();
	ram[RSDT + 20] ^= 1;
	assert_int_equal(read_list(), E_CORRUPT);
}

static void lengths_that_cannot_be_are_refused(void **state)
{
	static const u32 lengths[] = {0, 35, 0x200, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		put32(MADT + 4, lengths[i]);
		assert_int_equal(read_list(), E_CORRUPT);
	}
	put32(MADT + 4, 40); /* shorter than its own fixed part */
	seal_table(MADT);
	assert_int_equal(read_list(), E_CORRUPT);
}

static void entries_that_run_over_are_refused(void **state)
{
	static const u8 lengths[] = {0, 1, 9, 0xff};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		put32(MADT + 4, 44);
		entry((const u8[]){0, 8, 0, 0, 1, 0, 0, 0});
		ram[MADT + 45] = lengths[i];
		seal_table(MADT);
		assert_int_equal(read_list(), E_CORRUPT);
	}
	put32(MADT + 4, 44);
	entry((const u8[]){0, 4, 0, 7}); /* too short for what it says it is: passed over */
	assert_int_equal(read_list(), E_OK);
	assert_int_equal(list.count, 0);
}

static void no_madt_is_not_damage(void **state)
{
	(void)state;
	header(MADT, "HPET", 44);
	seal_table(MADT);
	assert_int_equal(read_list(), E_NOTFOUND);
	assert_int_equal(bootacpi_list_cpus(&memory, 0, &list), E_CORRUPT);
}

static void adding_a_known_cpu_joins_its_flags(void **state)
{
	(void)state;
	bootacpi_add_cpu(&list, 7, BOOT_CPU_ENABLED);
	bootacpi_add_cpu(&list, 7, BOOT_CPU_BSP);
	assert_int_equal(list.count, 1);
	assert_int_equal(cpus[0].flags, BOOT_CPU_BSP | BOOT_CPU_ENABLED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enabled_cpus_are_listed_once),
		TEST(the_32_bit_road_leads_there_too),
		TEST(more_cpus_than_there_is_room_for_are_counted),
		TEST(a_wrong_checksum_anywhere_on_the_way_is_seen),
		TEST(lengths_that_cannot_be_are_refused),
		TEST(entries_that_run_over_are_refused),
		TEST(no_madt_is_not_damage),
		TEST(adding_a_known_cpu_joins_its_flags),
	};
	return cmocka_run_group_tests_name("unit/bootacpi", tests, NULL, NULL);
}
