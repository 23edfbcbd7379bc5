/* SRCS: drivers/acpi.c */
/*
 * ACPI tables built byte by byte in a fake physical memory. Every mapping hands out an exact copy
 * on the heap, so the address sanitizer sees a single byte read beyond what was asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "drivers/acpi.h"

#define MEMORY_BYTES 0x8000u
#define RSDP_PA      0x100u
#define XSDT_PA      0x400u
#define RSDT_PA      0x600u
#define FADT_PA      0x1000u
#define MADT_PA      0x2000u
#define DSDT_PA      0x3000u
#define SPCR_PA      0x5000u
#define MCFG_PA      0x6000u

static u8 memory[MEMORY_BYTES];
static void *copies[4096];
static u32 copy_count;

static const void *map(u64 pa, u64 bytes)
{
	void *copy;

	if (pa > MEMORY_BYTES || bytes > MEMORY_BYTES - pa || copy_count == ARRAY_COUNT(copies))
		return NULL;
	copy = malloc(bytes);
	memcpy(copy, memory + pa, bytes);
	copies[copy_count++] = copy;
	return copy;
}

static void put(u64 pa, u64 value, u32 bytes)
{
	memcpy(memory + pa, &value, bytes);
}

static void seal(u64 pa, u32 bytes, u32 checksum_at)
{
	u8 sum = 0;

	memory[pa + checksum_at] = 0;
	for (u32 i = 0; i < bytes; i++)
		sum += memory[pa + i];
	memory[pa + checksum_at] = (u8)-sum;
}

static void table(u64 pa, const char *signature, u32 bytes)
{
	memcpy(memory + pa, signature, 4);
	put(pa + 4, bytes, 4);
	seal(pa, bytes, 9);
}

static void put_register(u64 pa, u8 space, u8 bits, u64 address)
{
	memory[pa] = space;
	memory[pa + 1] = bits;
	put(pa + 4, address, 8);
}

static void build_fadt(void)
{
	put(FADT_PA + 40, DSDT_PA, 4);
	put(FADT_PA + 48, 0xb2, 4);
	memory[FADT_PA + 52] = 0x02;
	put(FADT_PA + 64, 0x604, 4);
	put(FADT_PA + 76, 0x608, 4);
	memory[FADT_PA + 91] = 4;
	put(FADT_PA + 112, BIT(8) | BIT(10), 4);
	put_register(FADT_PA + 116, ACPI_IO, 8, 0xcf9);
	memory[FADT_PA + 128] = 0x0f;
	table(FADT_PA, "FACP", 244);
}

static void build_madt(void)
{
	static const u8 entries[] = {
		0, 8, 0, 0, 1, 0, 0, 0,                          /* LAPIC 0, enabled */
		0, 8, 1, 1, 1, 0, 0, 0,                          /* LAPIC 1, enabled */
		0, 8, 2, 2, 0, 0, 0, 0,                          /* LAPIC 2, disabled */
		1, 12, 3, 0, 0, 0, 0xc0, 0xfe, 24, 0, 0, 0,      /* IOAPIC 3 at fec00000, GSI 24 */
		9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, /* x2APIC 256, enabled */
	};

	memcpy(memory + MADT_PA + 44, entries, sizeof(entries));
	table(MADT_PA, "APIC", 44 + sizeof(entries));
}

static void build_dsdt(const u8 *s5, u32 bytes)
{
	memset(memory + DSDT_PA, 0, 0x200);
	memset(memory + DSDT_PA + 36, 0xa3, 20);
	memcpy(memory + DSDT_PA + 56, s5, bytes);
	table(DSDT_PA, "DSDT", 56 + bytes);
}

static void build_rsdp(u8 revision)
{
	memcpy(memory + RSDP_PA, "RSD PTR ", 8);
	memory[RSDP_PA + 15] = revision;
	put(RSDP_PA + 16, RSDT_PA, 4);
	put(RSDP_PA + 20, 36, 4);
	put(RSDP_PA + 24, XSDT_PA, 8);
	seal(RSDP_PA, 20, 8);
	seal(RSDP_PA, 36, 32);
}

static const u8 good_s5[] = {
	0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00};

static int build(void **state)
{
	static const u32 tables[] = {FADT_PA, MADT_PA, SPCR_PA, MCFG_PA};

	(void)state;
	memset(memory, 0, sizeof(memory));
	build_fadt();
	build_madt();
	build_dsdt(good_s5, sizeof(good_s5));
	put_register(SPCR_PA + 40, ACPI_IO, 8, 0x2f8);
	table(SPCR_PA, "SPCR", 80);
	put(MCFG_PA + 44, 0xc0000000, 8); /* another segment's */
	put(MCFG_PA + 44 + 8, 1, 2);
	put(MCFG_PA + 60, 0xe0000000, 8);
	put(MCFG_PA + 60 + 10, 2, 1);
	put(MCFG_PA + 60 + 11, 0x7f, 1);
	table(MCFG_PA, "MCFG", 76);
	for (u32 i = 0; i < ARRAY_COUNT(tables); i++) {
		put(XSDT_PA + 36 + i * 8, tables[i], 8);
		put(RSDT_PA + 36 + i * 4, tables[i], 4);
	}
	table(XSDT_PA, "XSDT", 36 + 8 * ARRAY_COUNT(tables));
	table(RSDT_PA, "RSDT", 36 + 4 * ARRAY_COUNT(tables));
	build_rsdp(2);
	return 0;
}

static int release(void **state)
{
	(void)state;
	while (copy_count)
		free(copies[--copy_count]);
	return 0;
}

static void reads_all_that_is_needed(void **state)
{
	struct acpi_info info;

	(void)state;
	for (u8 revision = 0; revision <= 2; revision += 2) {
		build_rsdp(revision);
		assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
		assert_true(info.has_tables && info.has_fadt && info.has_madt && info.has_s5);
		assert_int_equal(info.pm1a_control, 0x604);
		assert_int_equal(info.pm1b_control, 0);
		assert_int_equal(info.s5_a, 5);
		assert_int_equal(info.s5_b, 1);
		assert_int_equal(info.smi_command, 0xb2);
		assert_int_equal(info.acpi_enable, 2);
		assert_int_equal(info.pm_timer_port, 0x608);
		assert_true(info.pm_timer_32bit);
		assert_int_equal(info.reset.address, 0xcf9);
		assert_int_equal(info.reset_value, 0x0f);
		assert_int_equal(info.cpu_count, 3);
		assert_int_equal(info.ioapic_count, 1);
		assert_int_equal(info.ioapics[0].pa, 0xfec00000);
		assert_int_equal(info.ioapics[0].gsi_base, 24);
		assert_int_equal(info.console.address, 0x2f8);
		assert_int_equal(info.mcfg_base, 0xe0000000);
		assert_int_equal(info.mcfg_first_bus, 2);
		assert_int_equal(info.mcfg_last_bus, 0x7f);
	}
}

static void long_addresses_win_over_short_ones(void **state)
{
	struct acpi_info info;

	(void)state;
	put_register(FADT_PA + 172, ACPI_IO, 16, 0x1804);
	table(FADT_PA, "FACP", 244);
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
	assert_int_equal(info.pm1a_control, 0x1804);
}

static void hardware_reduced_machines_have_no_pm_ports(void **state)
{
	struct acpi_info info;

	(void)state;
	put(FADT_PA + 112, BIT(20), 4);
	put_register(FADT_PA + 244, ACPI_MEMORY, 8, 0xfe001000);
	table(FADT_PA, "FACP", 268);
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
	assert_true(info.hw_reduced);
	assert_int_equal(info.pm1a_control, 0);
	assert_int_equal(info.pm_timer_port, 0);
	assert_int_equal(info.sleep_control.address, 0xfe001000);
}

static void says_when_there_is_nothing(void **state)
{
	struct acpi_info info;

	(void)state;
	assert_int_equal(acpi_parse(0, map, &info), E_NOTFOUND);
	assert_int_equal(acpi_parse(MEMORY_BYTES + 5ull, map, &info), E_CORRUPT);
	memory[RSDP_PA + 3] ^= 1;
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), E_CORRUPT);
	assert_false(info.has_tables);
}

static void a_bad_root_table_is_refused(void **state)
{
	struct acpi_info info;

	(void)state;
	memory[XSDT_PA + 40] ^= 0x10;
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), E_CORRUPT);
}

static void a_bad_table_counts_as_absent(void **state)
{
	struct acpi_info info;

	(void)state;
	memory[FADT_PA + 64] ^= 1; /* checksum no longer right */
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
	assert_false(info.has_fadt || info.has_s5);
	assert_int_equal(info.pm1a_control, 0);
	assert_true(info.has_madt);

	put(MADT_PA + 4, 0x7fffffff, 4); /* a length that no memory holds */
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
	assert_false(info.has_madt);
}

static void madt_entries_of_wrong_length_end_it(void **state)
{
	struct acpi_info info;

	(void)state;
	memory[MADT_PA + 44 + 8 + 1] = 0;
	seal(MADT_PA, 44 + 52, 9);
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
	assert_int_equal(info.cpu_count, 1);
	memory[MADT_PA + 44 + 8 + 1] = 200;
	seal(MADT_PA, 44 + 52, 9);
	assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
	assert_int_equal(info.cpu_count, 1);
}

static void s5_in_every_encoding(void **state)
{
	static const struct {
		u8 bytes[24];
		u32 length;
		bool found;
		u8 a, b;
	} cases[] = {
		/* Name (_S5, Package () {7, 7, Zero, Zero}), values as words */
		{{0x08, '_', 'S', '5', '_', 0x12, 0x0b, 0x04, 0x0b, 7, 0, 0x0b, 7, 0, 0, 0}, 16,
			true, 7, 7},
		/* Name (\_S5, ...), one-byte constants */
		{{0x08, '\\', '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x01, 0x00, 0x00, 0x00}, 13,
			true, 1, 0},
		/* PkgLength of two bytes */
		{{0x08, '_', 'S', '5', '_', 0x12, 0x47, 0x00, 0x04, 0x0a, 5, 0x0a, 6, 0, 0}, 15,
			true, 5, 6},
		/* a reference to the name, not its definition */
		{{0x70, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0, 0, 0}, 13, false, 0, 0},
		/* a package of a string: no integer */
		{{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0d, 'x', 0, 0, 0}, 13, false, 0, 0},
		/* cut off within the package, where a byte should follow */
		{{0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a}, 9, false, 0, 0},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++) {
		struct acpi_info info;

		build_dsdt(cases[i].bytes, cases[i].length);
		assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
		assert_int_equal(info.has_s5, cases[i].found);
		assert_int_equal(info.s5_a, cases[i].a);
		assert_int_equal(info.s5_b, cases[i].b);
	}
}

/* Any damage under a right checksum: the parser may say anything, but reads nothing it was not
 * given. */
static void random_damage_reads_nothing_outside(void **state)
{
	static const u32 tables[] = {XSDT_PA, FADT_PA, MADT_PA, DSDT_PA, SPCR_PA, MCFG_PA};
	struct acpi_info info;

	(void)state;
	srand(1);
	for (u32 round = 0; round < 20000; round++) {
		u32 pa = tables[(u32)rand() % ARRAY_COUNT(tables)], bytes;

		build(NULL);
		for (u32 i = (u32)rand() % 8 + 1; i > 0; i--)
			memory[pa + 36 + (u32)rand() % 120] = (u8)rand();
		bytes = 36 + (u32)rand() % 240;
		put(pa + 4, bytes, 4);
		seal(pa, bytes, 9);
		assert_int_equal(acpi_parse(RSDP_PA, map, &info), 0);
		assert_true(info.ioapic_count <= ACPI_IOAPIC_MOST);
		release(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_all_that_is_needed, build, release),
		cmocka_unit_test_setup_teardown(long_addresses_win_over_short_ones, build, release),
		cmocka_unit_test_setup_teardown(
			hardware_reduced_machines_have_no_pm_ports, build, release),
		cmocka_unit_test_setup_teardown(says_when_there_is_nothing, build, release),
		cmocka_unit_test_setup_teardown(a_bad_root_table_is_refused, build, release),
		cmocka_unit_test_setup_teardown(a_bad_table_counts_as_absent, build, release),
		cmocka_unit_test_setup_teardown(
			madt_entries_of_wrong_length_end_it, build, release),
		cmocka_unit_test_setup_teardown(s5_in_every_encoding, build, release),
		cmocka_unit_test_setup_teardown(
			random_damage_reads_nothing_outside, build, release),
	};

	return cmocka_run_group_tests_name("unit/acpi", tests, NULL, NULL);
}
