/* SRCS: drivers/gpt.c mm/base/fmt.c mm/base/err.c */
/* GUID partition tables: sound ones, both copies, and everything that may be wrong with one. */
#include "drivers/gpt.h"
#include "tests/fake/cmocka.h"

#include <string.h>

#define BLOCKS  20000ull
#define ENTRIES 128u

static u8 header[4096];
static u8 entries[ENTRIES * 128];
static struct gpt gpt;

static void put(u8 *at, u64 value, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		at[i] = (u8)(value >> 8 * i);
}

/* The sum as its definition says, a bit at a time. */
static u32 crc32(const u8 *bytes, size_t count)
{
	u32 crc = ~0u;

	for (size_t i = 0; i < count * 8; i++) {
		u32 bit = (bytes[i / 8] >> i % 8 & 1) ^ (crc & 1);

		crc = crc >> 1 ^ (bit ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void sum_up(void)
{
	put(header + 88, crc32(entries, sizeof(entries)), 4);
	put(header + 16, 0, 4);
	put(header + 16, crc32(header, 92), 4);
}

static void add(u32 index, const struct guid *type, u64 first, u64 last, const char *name)
{
	u8 *entry = entries + index * 128;

	memcpy(entry, type->bytes, 16);
	entry[16] = (u8)index;
	put(entry + 32, first, 8);
	put(entry + 40, last, 8);
	for (u32 i = 0; name[i]; i++)
		put(entry + 56 + 2 * i, (u8)name[i], 2);
}

static int setup(void **state)
{
	(void)state;
	memset(header, 0, sizeof(header));
	memset(entries, 0, sizeof(entries));
	memcpy(header, "EFI PART", 8);
	put(header + 8, 0x10000, 4);
	put(header + 12, 92, 4);
	put(header + 24, 1, 8);
	put(header + 32, BLOCKS - 1, 8);
	put(header + 40, 34, 8);
	put(header + 48, BLOCKS - 34, 8);
	put(header + 72, 2, 8);
	put(header + 80, ENTRIES, 4);
	put(header + 84, 128, 4);
	add(0, &gpt_type_test, 2048, 4095, "scratch");
	add(5, &gpt_type_swap, 4096, 8191, "swap");
	sum_up();
	return 0;
}

static err_t read_it(void)
{
	sum_up();
	return gpt_read_header(header, 512, 1, BLOCKS, &gpt);
}

static void a_table_is_read(void **state)
{
	struct gpt_partition p;
	char text[GPT_TEXT_BYTES];

	(void)state;
	assert_int_equal(read_it(), 0);
	assert_true(gpt.entries_block == 2 && gpt.entries_bytes == sizeof(entries));
	assert_int_equal(gpt_check_entries(&gpt, entries), 0);
	assert_int_equal(gpt_read_entry(&gpt, entries, 0, &p), 0);
	assert_true(p.first_block == 2048 && p.block_count == 2048);
	assert_string_equal(p.name, "scratch");
	guid_text(&p.type, text);
	assert_string_equal(text, "638e3383-3568-43b5-bff9-f64d46cf9fbb");
	assert_string_equal(gpt_type_name(&p.type), "Bellows test");
	assert_int_equal(gpt_read_entry(&gpt, entries, 1, &p), E_NOTFOUND);
	assert_int_equal(gpt_read_entry(&gpt, entries, ENTRIES, &p), E_RANGE);
	assert_int_equal(gpt_find_type(&gpt, entries, &gpt_type_swap, &p), 0);
	assert_int_equal(p.first_block, 4096);
	assert_int_equal(gpt_find_type(&gpt, entries, &gpt_type_disk, &p), E_NOTFOUND);
	assert_int_equal(gpt_find_name(&gpt, entries, "swap", &p), 0);
	assert_int_equal(gpt_find_name(&gpt, entries, "Swap", &p), E_NOTFOUND);
}

static void the_backup_lies_at_the_end(void **state)
{
	(void)state;
	put(header + 24, BLOCKS - 1, 8);
	put(header + 72, BLOCKS - 33, 8);
	sum_up();
	assert_int_equal(gpt_read_header(header, 512, GPT_BACKUP_BLOCK(BLOCKS), BLOCKS, &gpt), 0);
	assert_int_equal(gpt_read_header(header, 512, 1, BLOCKS, &gpt), E_CORRUPT);
}

static void blocks_of_4096_bytes(void **state)
{
	(void)state;
	put(header + 40, 6, 8);
	sum_up();
	assert_int_equal(gpt_read_header(header, 4096, 1, BLOCKS, &gpt), 0);
	assert_int_equal(gpt.entries_bytes, sizeof(entries));
}

static void any_changed_byte_is_noticed(void **state)
{
	(void)state;
	assert_int_equal(read_it(), 0);
	for (u32 i = 0; i < 92; i++) {
		header[i] ^= 0x40;
		assert_int_not_equal(gpt_read_header(header, 512, 1, BLOCKS, &gpt), 0);
		header[i] ^= 0x40;
	}
	assert_int_equal(gpt_read_header(header, 512, 1, BLOCKS, &gpt), 0);
	for (u32 i = 0; i < sizeof(entries); i += 61) {
		entries[i] ^= 1;
		assert_int_equal(gpt_check_entries(&gpt, entries), E_CORRUPT);
		entries[i] ^= 1;
	}
}

static void impossible_headers_are_refused(void **state)
{
	static const struct {
		u32 offset, bytes;
		u64 value;
		err_t err;
	} wrong[] = {
		{0, 1, 'X', E_NOTFOUND},
		{12, 4, 91, E_CORRUPT},
		{12, 4, 513, E_CORRUPT},
		{12, 4, ~0u, E_CORRUPT},
		{40, 8, BLOCKS - 33, E_CORRUPT}, /* first usable behind the last */
		{40, 8, 33, E_CORRUPT},          /* the table inside what is usable */
		{48, 8, BLOCKS, E_CORRUPT},
		{48, 8, ~0ull, E_CORRUPT},
		{72, 8, 0, E_CORRUPT},
		{72, 8, BLOCKS - 31, E_CORRUPT},
		{72, 8, ~0ull, E_CORRUPT},
		{72, 8, 100, E_CORRUPT},
		{80, 4, 0, E_CORRUPT},
		{80, 4, GPT_ENTRIES + 1, E_LIMIT},
		{80, 4, ~0u, E_LIMIT},
		{84, 4, 64, E_CORRUPT},
		{84, 4, 192, E_CORRUPT},
		{84, 4, 2048, E_LIMIT},
		{84, 4, ~0u, E_CORRUPT},
	};

	for (u32 i = 0; i < ARRAY_COUNT(wrong); i++) {
		setup(state);
		put(header + wrong[i].offset, wrong[i].value, wrong[i].bytes);
		assert_int_equal(read_it(), wrong[i].err);
	}
	setup(state);
	assert_int_equal(
		gpt_read_header(header, 512, 1, 100, &gpt), E_CORRUPT); /* a smaller disk */
}

static void partitions_out_of_bounds_or_overlapping_are_left_out(void **state)
{
	struct gpt_partition p;

	(void)state;
	add(1, &gpt_type_disk, 33, 40, "before");
	add(2, &gpt_type_disk, BLOCKS - 34, BLOCKS - 33, "behind");
	add(3, &gpt_type_disk, 9000, 8999, "inverted");
	add(4, &gpt_type_disk, 0, ~0ull, "all");
	add(6, &gpt_type_disk, 4095, 4095, "overlaps");
	add(7, &gpt_type_disk, 9000, 9000, "one");
	assert_int_equal(read_it(), 0);
	for (u32 i = 1; i <= 6; i++)
		assert_int_equal(gpt_read_entry(&gpt, entries, i, &p), E_CORRUPT);
	assert_int_equal(gpt_find_type(&gpt, entries, &gpt_type_disk, &p), E_NOTFOUND);
}

static void an_entry_that_claims_everything_spoils_only_what_follows(void **state)
{
	struct gpt_partition p;

	(void)state;
	add(7, &gpt_type_disk, 9000, 9000, "one");
	assert_int_equal(read_it(), 0);
	assert_int_equal(gpt_find_type(&gpt, entries, &gpt_type_disk, &p), 0);
	assert_int_equal(p.block_count, 1);
	add(3, &gpt_type_disk, 0, ~0ull, "all");
	assert_int_equal(gpt_read_entry(&gpt, entries, 0, &p), 0);
	assert_int_equal(gpt_read_entry(&gpt, entries, 7, &p), E_CORRUPT);
}

static void names_are_utf8_and_harmless(void **state)
{
	static const u16 units[] = {'a', 0x1b, 0xe4, 0x20ac, 0xd83d, 0xde00, 0x7f};
	struct gpt_partition p;

	(void)state;
	memset(entries + 56, 0, 72);
	for (u32 i = 0; i < ARRAY_COUNT(units); i++)
		put(entries + 56 + 2 * i, units[i], 2);
	assert_int_equal(read_it(), 0);
	assert_int_equal(gpt_read_entry(&gpt, entries, 0, &p), 0);
	assert_string_equal(p.name, "a?\xc3\xa4\xe2\x82\xac???");
	for (u32 i = 0; i < 36; i++)
		put(entries + 56 + 2 * i, 0xffff, 2);
	assert_int_equal(gpt_read_entry(&gpt, entries, 0, &p), 0);
	assert_int_equal(strlen(p.name), GPT_NAME_BYTES - 1);
}

static void a_name_given_twice_is_ambiguous(void **state)
{
	struct gpt_partition p;

	(void)state;
	add(9, &gpt_type_disk, 9000, 9999, "swap");
	assert_int_equal(read_it(), 0);
	assert_int_equal(gpt_find_name(&gpt, entries, "swap", &p), E_EXIST);
	assert_int_equal(gpt_find_name(&gpt, entries, "scratch", &p), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup(t, setup)
	const struct CMUnitTest tests[] = {
		TEST(a_table_is_read),
		TEST(the_backup_lies_at_the_end),
		TEST(blocks_of_4096_bytes),
		TEST(any_changed_byte_is_noticed),
		TEST(impossible_headers_are_refused),
		TEST(partitions_out_of_bounds_or_overlapping_are_left_out),
		TEST(an_entry_that_claims_everything_spoils_only_what_follows),
		TEST(names_are_utf8_and_harmless),
		TEST(a_name_given_twice_is_ambiguous),
	};

	return cmocka_run_group_tests_name("unit/gpt", tests, NULL, NULL);
}
