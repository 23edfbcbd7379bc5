/* SRCS: tests/fake/fake_platform.c mm */
/*
 * Second-level entries in both formats: what the manuals say of the bits, and that nothing is lost
 * in them.
 */
#include "mm/space/slat.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"

static const struct slat_format *const formats[] = {&slat_ept, &slat_npt};

static void test_leaves_as_the_manuals_have_them(void **state)
{
	pfn_t pfn = PFN(0x12345);

	(void)state;
	/* EPT: R W X in 2:0, memory type 6 in 5:3, ignore PAT 6, large 7; state in 56:52. */
	assert_int_equal(
		slat_make_leaf(&slat_ept, pfn, SLAT_READ, PAGE_ZERO, false), 0x0010000012345071ull);
	assert_int_equal(
		slat_make_leaf(&slat_ept, pfn, SLAT_WRITE | SLAT_EXEC, PAGE_PRIVATE, false),
		0x0020000012345077ull);
	assert_int_equal(slat_make_leaf(&slat_ept, PFN(0x200), SLAT_WRITE, PAGE_PRIVATE, true),
		0x00200000002000f3ull);
	assert_int_equal(slat_make_table(&slat_ept, pfn), 0x12345007ull);
	/* NPT: P 0, W 1, U 2, large 7, NX 63. */
	assert_int_equal(
		slat_make_leaf(&slat_npt, pfn, SLAT_READ, PAGE_ZERO, false), 0x8010000012345005ull);
	assert_int_equal(
		slat_make_leaf(&slat_npt, pfn, SLAT_WRITE | SLAT_EXEC, PAGE_PRIVATE, false),
		0x0020000012345007ull);
	assert_int_equal(slat_make_leaf(&slat_npt, PFN(0x200), SLAT_WRITE, PAGE_PRIVATE, true),
		0x8020000000200087ull);
	assert_int_equal(slat_make_table(&slat_npt, pfn), 0x12345007ull);
}

static void test_leaf_round_trip(void **state)
{
	struct rng rng = {rng_seed(3)};

	(void)state;
	for (u32 i = 0; i < 20000; i++) {
		const struct slat_format *f = formats[i & 1];
		pfn_t pfn = PFN(rng_next(&rng) & BITS(39, 0));
		u32 rights = SLAT_READ | (u32)rng_below(&rng, 8);
		enum page_state page = (enum page_state)rng_below(&rng, PAGE_STATE_COUNT);
		bool large = rng_chance(&rng, 50);
		u64 entry = slat_make_leaf(
			f, large ? PFN(ALIGN_DOWN(pfn.v, 512ull)) : pfn, rights, page, large);

		/* Whatever hardware sets changes nothing of it. */
		if (rng_chance(&rng, 50))
			entry |= f->accessed_bit | f->dirty_bit;
		assert_true(slat_is_present(f, entry));
		assert_int_equal(slat_is_large(f, entry), large);
		assert_int_equal(slat_rights(f, entry), rights);
		assert_int_equal(slat_state(f, entry), page);
		assert_int_equal(slat_pfn(f, entry).v, large ? ALIGN_DOWN(pfn.v, 512ull) : pfn.v);
	}
}

/*
 * Absent entries: not present, payload kept, and no address that could be RAM whatever the payload
 * (L1TF).
 */
static void test_absent_round_trip_and_l1tf(void **state)
{
	struct rng rng = {rng_seed(5)};

	(void)state;
	for (u32 i = 0; i < 40000; i++) {
		const struct slat_format *f = formats[i & 1];
		u64 payload =
			rng_next(&rng) >> rng_below(&rng, 64) & BITS(SLAT_PAYLOAD_BITS - 1, 0);
		enum page_state page = (enum page_state)(1 + rng_below(&rng, PAGE_STATE_COUNT - 1));
		u64 entry = slat_make_absent(f, page, payload);

		assert_false(slat_is_present(f, entry));
		assert_int_equal(slat_rights(f, entry), 0);
		assert_int_equal(slat_state(f, entry), page);
		assert_int_equal(slat_payload(entry), payload);
		/* Bits 2:0 and 10, 63 stay clear: hardware looks at them. */
		assert_int_equal(entry & (BITS(2, 0) | BIT(10) | BIT(63)), 0);
		for (u32 width = 44; width <= 52; width++) {
			u64 address = entry & BITS(51, 12) & BITS(width - 1, 0);

			assert_true(address >= (1ull << width) - GIB(512));
		}
	}
	assert_int_equal(slat_make_absent(&slat_ept, PAGE_UNTOUCHED, 0), 0);
	assert_int_equal(slat_payload(0), 0);
}

static void act_payload(void *arg)
{
	(void)arg;
	slat_make_absent(&slat_ept, PAGE_SWAPPED, BIT(SLAT_PAYLOAD_BITS));
}

static void act_pfn(void *arg)
{
	(void)arg;
	slat_make_leaf(&slat_ept, PFN(BIT(40)), SLAT_READ, PAGE_ZERO, false);
}

static void test_what_does_not_fit_is_caught(void **state)
{
	(void)state;
	assert_true(fake_panics(act_payload, NULL));
	assert_true(fake_panics(act_pfn, NULL));
}

static void test_indexes(void **state)
{
	(void)state;
	assert_int_equal(slat_index(GFN(0x123), 1), 0x123);
	assert_int_equal(slat_index(GFN(0x200), 1), 0);
	assert_int_equal(slat_index(GFN(0x200), 2), 1);
	assert_int_equal(slat_index(GFN(1ull << 18), 3), 1);
	assert_int_equal(slat_index(GFN(511ull << 27), 4), 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaves_as_the_manuals_have_them),
		cmocka_unit_test(test_leaf_round_trip),
		cmocka_unit_test(test_absent_round_trip_and_l1tf),
		cmocka_unit_test(test_what_does_not_fit_is_caught),
		cmocka_unit_test(test_indexes),
	};

	return cmocka_run_group_tests_name("unit/slat", tests, NULL, NULL);
}
