/* SRCS: hv/x86/symbols.c */
/*
 * Symbols of a real ELF file: this test itself. A copy on the heap, of the exact size, lets the
 * address sanitizer see any byte read beyond the file, however the file is damaged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "hv/x86/symbols.h"

static u8 *elf;
static size_t elf_bytes;

static int load(void **state)
{
	FILE *f = fopen("/proc/self/exe", "rb");

	(void)state;
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	elf_bytes = (size_t)ftell(f);
	rewind(f);
	elf = malloc(elf_bytes);
	assert_int_equal(fread(elf, 1, elf_bytes, f), elf_bytes);
	fclose(f);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	free(elf);
	return 0;
}

/* Where the file says that a function lies: searched through every address of it, as nm would list
 * them. */
static u64 find_by_name(const char *wanted, u64 most)
{
	for (u64 address = 0; address < most; address += 1) {
		u64 offset;
		size_t bytes;
		const char *name = symbols_find(address, &offset, &bytes);

		if (!name) {
			address |= 15;
			continue;
		}
		if (bytes == strlen(wanted) && !memcmp(name, wanted, bytes))
			return address - offset;
	}
	return 0;
}

static void a_function_is_found_by_any_of_its_addresses(void **state)
{
	u64 start, offset;
	size_t bytes;
	const char *name;

	(void)state;
	symbols_init(elf, elf_bytes);
	start = find_by_name("symbols_find", 0x40000);
	assert_int_not_equal(start, 0);
	name = symbols_find(start + 5, &offset, &bytes);
	assert_non_null(name);
	assert_int_equal(offset, 5);
	assert_memory_equal(name, "symbols_find", bytes);
}

static void an_address_of_nothing_has_no_name(void **state)
{
	u64 offset;
	size_t bytes;

	(void)state;
	symbols_init(elf, elf_bytes);
	assert_null(symbols_find(0, &offset, &bytes));
	assert_null(symbols_find(0xffffffffffffffffull, &offset, &bytes));
}

static void without_a_file_there_are_no_names(void **state)
{
	u64 offset;
	size_t bytes;

	(void)state;
	symbols_init(NULL, 0);
	assert_null(symbols_find(0x1000, &offset, &bytes));
	symbols_init(elf, 40);
	assert_null(symbols_find(0x1000, &offset, &bytes));
}

static void no_damage_makes_it_read_outside_the_file(void **state)
{
	u64 section_offset, offset;
	size_t bytes;
	u8 *copy = malloc(elf_bytes);

	(void)state;
	memcpy(&section_offset, elf + 40, 8);
	srand(1);
	for (u32 round = 0; round < 300; round++) {
		size_t length = rand() % 4 ? elf_bytes : (size_t)rand() % elf_bytes;
		u8 *exact = malloc(length + 1);

		memcpy(copy, elf, elf_bytes);
		for (u32 i = 0; i < 6; i++) {
			copy[(u32)rand() % 64] = (u8)rand();
			copy[section_offset + (u32)rand() % (elf_bytes - section_offset)] =
				(u8)rand();
		}
		memcpy(copy, "\177ELF\2\1", 6);
		if (rand() % 2)
			memcpy(copy + 40, &section_offset, 8);
		memcpy(exact, copy, length);
		exact = realloc(exact, length ? length : 1);
		symbols_init(exact, length);
		symbols_find((u64)rand() % 0x40000, &offset, &bytes);
		free(exact);
	}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_is_found_by_any_of_its_addresses),
		cmocka_unit_test(an_address_of_nothing_has_no_name),
		cmocka_unit_test(without_a_file_there_are_no_names),
		cmocka_unit_test(no_damage_makes_it_read_outside_the_file),
	};

	return cmocka_run_group_tests_name("unit/symbols", tests, load, unload);
}
