/* SRCS: mm/swap/swap_header.c */
/* The header of a swap volume: what was written is read, and no damage goes unseen. */
#include "mm/swap/swap_header.h"
#include "tests/fake/cmocka.h"
#include <string.h>

static const struct swap_header sample = {
	.id = "fifteen letters",
	.block_bytes = 512,
	.block_count = 1ull << 40,
	.boots = 7,
};

static void test_what_is_written_is_read_again(void **state)
{
	u8 block[SWAP_HEADER_BYTES];
	struct swap_header out;

	(void)state;
	swap_header_write(&sample, block);
	assert_int_equal(swap_header_read(block, &out), 0);
	assert_memory_equal(out.id, sample.id, sizeof(out.id));
	assert_int_equal(out.block_bytes, sample.block_bytes);
	assert_int_equal(out.block_count, sample.block_count);
	assert_int_equal(out.boots, sample.boots);
}

static void test_every_flipped_bit_is_seen(void **state)
{
	u8 block[SWAP_HEADER_BYTES];
	struct swap_header out;

	(void)state;
	swap_header_write(&sample, block);
	for (u32 bit = 0; bit < 8 * sizeof(block); bit++) {
		err_t err;

		block[bit / 8] ^= 1u << bit % 8;
		err = swap_header_read(block, &out);
		assert_int_equal(err, bit < 16 * 8 ? E_NOTFOUND : E_CORRUPT);
		block[bit / 8] ^= 1u << bit % 8;
	}
}

static void test_a_torn_header_is_none(void **state)
{
	u8 old[SWAP_HEADER_BYTES], new[SWAP_HEADER_BYTES];
	struct swap_header next = sample, out;

	(void)state;
	next.boots++;
	swap_header_write(&sample, old);
	swap_header_write(&next, new);
	for (u32 torn = 1; torn < sizeof(old); torn++) {
		u8 block[SWAP_HEADER_BYTES];

		memcpy(block, new, torn);
		memcpy(block + torn, old + torn, sizeof(old) - torn);
		if (memcmp(block, old, sizeof(old)) != 0 && memcmp(block, new, sizeof(new)) != 0)
			assert_int_equal(swap_header_read(block, &out), E_CORRUPT);
	}
}

/* As swap_header.c lays it out: the version behind 16 bytes of magic, the sum in the last 8. */
static void test_a_newer_version_is_refused(void **state)
{
	u8 block[SWAP_HEADER_BYTES];
	struct swap_header out;
	u64 sum = 0xcbf29ce484222325ull;

	(void)state;
	swap_header_write(&sample, block);
	assert_int_equal(block[16], SWAP_HEADER_VERSION);
	block[16] = SWAP_HEADER_VERSION + 1;
	for (u32 i = 0; i < sizeof(block) - 8; i++)
		sum = (sum ^ block[i]) * 0x100000001b3ull;
	memcpy(block + sizeof(block) - 8, &sum, 8);
	assert_int_equal(swap_header_read(block, &out), E_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read_again),
		cmocka_unit_test(test_every_flipped_bit_is_seen),
		cmocka_unit_test(test_a_torn_header_is_none),
		cmocka_unit_test(test_a_newer_version_is_refused),
	};

	return cmocka_run_group_tests_name("unit/swap_header", tests, NULL, NULL);
}
