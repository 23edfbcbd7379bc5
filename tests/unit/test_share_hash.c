/* SRCS: tests/fake/fake_platform.c mm */
/* The page hash: what it is a function of, and what depends on the key. */
#include "mm/share/share_hash.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/rng.h"
#include <string.h>

static struct share_key key_of(u64 seed)
{
	struct rng rng = {seed};
	struct share_key key;

	for (u32 i = 0; i < SHARE_HASH_WORDS; i++)
		key.words[i] = rng_next(&rng);
	key.fold[0] = rng_next(&rng);
	key.fold[1] = rng_next(&rng);
	return key;
}

static u64 hash(const struct share_key *key, const u64 *page)
{
	bool zero;

	return share_hash_page(key, page, &zero);
}

static void test_equal_pages_hash_equal_wherever_they_lie(void **state)
{
	static u64 two[2 * SHARE_HASH_WORDS];
	struct share_key key = key_of(1);
	struct rng rng = {2};

	(void)state;
	for (u32 i = 0; i < SHARE_HASH_WORDS; i++)
		two[i] = two[SHARE_HASH_WORDS + i] = rng_next(&rng);
	assert_int_equal(hash(&key, two), hash(&key, two + SHARE_HASH_WORDS));
}

static void test_every_bit_and_every_swap_of_words_changes_it(void **state)
{
	static u64 page[SHARE_HASH_WORDS];
	struct share_key key = key_of(3);
	struct rng rng = {4};

	(void)state;
	for (u32 i = 0; i < SHARE_HASH_WORDS; i++)
		page[i] = rng_next(&rng);
	u64 before = hash(&key, page);

	for (u32 bit = 0; bit < PAGE_BYTES * 8; bit++) {
		page[bit / 64] ^= BIT(bit % 64);
		assert_int_not_equal(hash(&key, page), before);
		page[bit / 64] ^= BIT(bit % 64);
	}
	for (u32 i = 1; i < SHARE_HASH_WORDS; i++) {
		u64 first = page[0];

		page[0] = page[i];
		page[i] = first;
		assert_int_not_equal(hash(&key, page), before);
		page[i] = page[0];
		page[0] = first;
	}
}

/* Without the key no collision can be built: what collides under one does not under another. */
static void test_the_key_decides_what_collides(void **state)
{
	static u64 a[SHARE_HASH_WORDS], b[SHARE_HASH_WORDS];
	struct share_key one = key_of(5), other = key_of(6);

	(void)state;
	/* With the key known: a factor is made zero, and the other does not matter. */
	a[0] = b[0] = -one.words[0];
	a[1] = 1;
	b[1] = 2;
	assert_int_equal(hash(&one, a), hash(&one, b));
	assert_int_not_equal(hash(&other, a), hash(&other, b));
}

static void test_zero_pages_are_told(void **state)
{
	static u64 page[SHARE_HASH_WORDS];
	struct share_key key = key_of(7);
	bool zero = false;

	(void)state;
	share_hash_page(&key, page, &zero);
	assert_true(zero && share_page_is_zero(page));
	for (u32 i = 0; i < SHARE_HASH_WORDS; i++) {
		page[i] = BIT(i % 64);
		share_hash_page(&key, page, &zero);
		assert_false(zero || share_page_is_zero(page));
		page[i] = 0;
	}
}

/* A few bits of difference spread over the whole hash: the index uses its upper bits. */
static void test_bits_of_the_hash_are_even(void **state)
{
	static u64 page[SHARE_HASH_WORDS];
	struct share_key key = key_of(8);
	u32 ones[64] = {0};

	(void)state;
	for (u32 n = 0; n < 2000; n++) {
		page[17] = n;
		u64 h = hash(&key, page);

		for (u32 bit = 0; bit < 64; bit++)
			ones[bit] += h >> bit & 1;
	}
	for (u32 bit = 0; bit < 64; bit++)
		assert_in_range(ones[bit], 800, 1200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_pages_hash_equal_wherever_they_lie),
		cmocka_unit_test(test_every_bit_and_every_swap_of_words_changes_it),
		cmocka_unit_test(test_the_key_decides_what_collides),
		cmocka_unit_test(test_zero_pages_are_told),
		cmocka_unit_test(test_bits_of_the_hash_are_even),
	};

	return cmocka_run_group_tests_name("unit/share_hash", tests, NULL, NULL);
}
