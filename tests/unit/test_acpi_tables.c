/* SRCS: hv/vdev/acpi.c hv/vdev/aml.c */
/*
 * The guest's ACPI tables: checksums, pointers, and what iasl makes of them when it disassembles
 * them (where it is installed) and compiles its own output again.
 */
#define _GNU_SOURCE /* memmem() */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/vdev/acpi.h"
#include "mm/base/err.h"

#define BASE 0xe0000u

static u8 blob[0x10000];

static u32 get32(const u8 *at)
{
	u32 v;

	memcpy(&v, at, 4);
	return v;
}

static u64 get64(const u8 *at)
{
	u64 v;

	memcpy(&v, at, 8);
	return v;
}

static u8 sum(const u8 *at, u32 bytes)
{
	u8 s = 0;

	while (bytes--)
		s += *at++;
	return s;
}

/* The table at @gpa, checked. */
static const u8 *table(u64 gpa, const char *signature)
{
	const u8 *at = blob + (gpa - BASE);

	assert_in_range(gpa, BASE, BASE + sizeof(blob) - 36);
	assert_int_equal(gpa % 16, 0);
	assert_memory_equal(at, signature, 4);
	assert_int_equal(sum(at, get32(at + 4)), 0);
	return at;
}

static const u8 *child(u32 n, const char *signature)
{
	const u8 *xsdt = table(get64(blob + 24), "XSDT");

	assert_int_equal(get32(xsdt + 4), 36 + 2 * 8);
	return table(get64(xsdt + 36 + 8 * n), signature);
}

static void build(u32 vcpu_count)
{
	s64 used;

	memset(blob, 0xcc, sizeof(blob));
	used = acpi_build(vcpu_count, true, BASE, blob, sizeof(blob));
	assert_int_equal(used, acpi_bytes_needed(vcpu_count));
}

static void pointers_and_checksums_are_right(void **state)
{
	(void)state;
	build(1);
	assert_memory_equal(blob, "RSD PTR ", 8);
	assert_int_equal(sum(blob, 20), 0);
	assert_int_equal(sum(blob, 36), 0);
	child(0, "FACP");
	child(1, "APIC");
	table(get64(child(0, "FACP") + 140), "DSDT");
	assert_int_equal(get32(child(0, "FACP") + 40), get64(child(0, "FACP") + 140));
}

static void the_fadt_is_hardware_reduced_with_its_registers(void **state)
{
	const u8 *fadt;

	(void)state;
	build(1);
	fadt = child(0, "FACP");
	assert_int_equal(get32(fadt + 4), 276);
	assert_int_equal(fadt[8], 6);
	assert_true(get32(fadt + 112) & 1u << 20);
	assert_true(get32(fadt + 112) & 1u << 10);
	assert_int_equal(get64(fadt + 116 + 4), 0x602);
	assert_int_equal(fadt[128], 6);
	assert_int_equal(get64(fadt + 244 + 4), 0x600);
	assert_int_equal(get64(fadt + 256 + 4), 0x601);
	assert_int_equal(get64(fadt + 208 + 4), 0x608);
	for (u32 i = 148; i < 244; i++) { /* no PM1, no GPEs */
		if (i < 208 || i >= 220)
			assert_int_equal(fadt[i], 0);
	}
}

static void the_madt_lists_every_vcpu(void **state)
{
	const u8 *madt, *entry;
	u32 lapics = 0, ioapics = 0;

	(void)state;
	build(37);
	madt = child(1, "APIC");
	assert_int_equal(get32(madt + 36), 0xfee00000);
	for (entry = madt + 44; entry < madt + get32(madt + 4); entry += entry[1]) {
		assert_true(entry[1] >= 6);
		if (entry[0] == 0) {
			assert_int_equal(entry[3], lapics);
			lapics++;
		}
		if (entry[0] == 1) {
			assert_int_equal(get32(entry + 4), 0xfec00000);
			ioapics++;
		}
	}
	assert_ptr_equal(entry, madt + get32(madt + 4));
	assert_int_equal(lapics, 37);
	assert_int_equal(ioapics, 1);
}

static void too_little_room_is_refused(void **state)
{
	size_t need = acpi_bytes_needed(2);
	u8 *exact = malloc(need);

	(void)state;
	assert_int_equal(acpi_build(2, true, BASE, exact, need - 1), E_RANGE);
	assert_int_equal(acpi_build(2, true, BASE, exact, need), need);
	free(exact);
}

static void a_vm_without_a_disk_has_none_in_its_tables(void **state)
{
	const u8 *dsdt;

	(void)state;
	assert_in_range(acpi_build(1, false, BASE, blob, sizeof(blob)), 1, sizeof(blob));
	dsdt = table(get64(child(0, "FACP") + 140), "DSDT");
	assert_null(memmem(dsdt, get32(dsdt + 4), "LNRO0005", 8));
}

static void write_file(const char *dir, const char *name, const u8 *at)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.dat", dir, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(at, 1, get32(at + 4), file), get32(at + 4));
	fclose(file);
}

static void iasl_takes_them_apart_and_finds_our_devices(void **state)
{
	char dir[] = "/tmp/bellows-acpi-XXXXXX", command[2000], text[20000] = {0};
	FILE *pipe;
	size_t used;

	(void)state;
	if (system("command -v iasl >/dev/null") != 0)
		skip();
	build(2);
	assert_non_null(mkdtemp(dir));
	write_file(dir, "dsdt", table(get64(child(0, "FACP") + 140), "DSDT"));
	write_file(dir, "facp", child(0, "FACP"));
	write_file(dir, "apic", child(1, "APIC"));
	snprintf(command, sizeof(command),
		"cd %s && iasl -d dsdt.dat facp.dat apic.dat >log 2>&1 && iasl -p again dsdt.dsl >>log 2>&1; "
		"cat log dsdt.dsl facp.dsl apic.dsl; rm -r %s",
		dir, dir);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	used = fread(text, 1, sizeof(text) - 1, pipe);
	assert_int_equal(pclose(pipe), 0);
	assert_true(used > 0);
	/* Compiling says "0 Errors"; the disassembly names what we meant. */
	assert_non_null(strstr(text, "Compilation successful. 0 Errors, 0 Warnings"));
	assert_non_null(strstr(text, "Device (COM1)"));
	assert_non_null(strstr(text, "EisaId (\"PNP0501\")"));
	assert_non_null(strstr(text, "EisaId (\"PNP0B00\")"));
	assert_non_null(strstr(text, "Name (_HID, \"BLWS0001\")"));
	assert_non_null(strstr(text, "Name (_HID, \"LNRO0005\")"));
	assert_non_null(strstr(text, "0xFEB00000,         // Address Base"));
	assert_non_null(strstr(text, "Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive"));
	assert_non_null(strstr(text, "Name (_S5, Package (0x04)"));
	assert_non_null(strstr(text, "Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive"));
	assert_non_null(strstr(text, "Hardware Reduced (V5) : 1"));
	assert_null(strstr(text, "Incorrect checksum"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pointers_and_checksums_are_right),
		cmocka_unit_test(the_fadt_is_hardware_reduced_with_its_registers),
		cmocka_unit_test(the_madt_lists_every_vcpu),
		cmocka_unit_test(too_little_room_is_refused),
		cmocka_unit_test(a_vm_without_a_disk_has_none_in_its_tables),
		cmocka_unit_test(iasl_takes_them_apart_and_finds_our_devices),
	};
	return cmocka_run_group_tests_name("unit/acpi_tables", tests, NULL, NULL);
}
