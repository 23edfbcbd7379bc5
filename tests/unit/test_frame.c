/* SRCS: tests/fake/fake_platform.c mm */
/*
 * Frames: allocation of every kind, references and pins, the account, and what a broken caller
 * meets.
 */
#include "mm/frame/frame.h"
#include "tests/fake/cmocka.h"
#include "tests/fake/fake_platform.h"
#include "tests/fake/rng.h"
#include <stdio.h>
#include <string.h>

#define RAM_FRAMES 4000

static int setup(void **state)
{
	(void)state;
	fake_start_plain(4, RAM_FRAMES);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_cpu_set(0);
	assert_true(frame_audit());
	fake_stop();
	return 0;
}

/* After a CHECK fired, the state is whatever it was: no audit. */
static int teardown_broken(void **state)
{
	(void)state;
	fake_stop();
	return 0;
}

static u64 in_kind(enum frame_kind kind)
{
	struct frame_account account;
	u64 sum = 0;

	frame_account_get(&account);
	for (u32 k = FRAME_FREE; k < FRAME_KIND_COUNT; k++)
		sum += account.frames[k];
	assert_int_equal(sum, account.total);
	return account.frames[kind];
}

static void test_every_free_frame_is_had_once_on_any_cpu(void **state)
{
	u64 free_frames = frame_free_count(), got = 0;
	static pfn_t taken[RAM_FRAMES];
	static bool seen[RAM_FRAMES + 100];

	(void)state;
	memset(seen, 0, sizeof(seen));
	/* All CPUs cache some first, so that the last ones must be taken from other caches. */
	for (u32 cpu = 0; cpu < 4; cpu++) {
		fake_cpu_set(cpu);
		frame_free(frame_alloc(FRAME_HV));
	}
	for (;;) {
		pfn_t pfn = frame_alloc(FRAME_PRIVATE);

		if (pfn_is_none(pfn))
			break;
		assert_false(seen[pfn.v]);
		seen[pfn.v] = true;
		taken[got++] = pfn;
	}
	assert_int_equal(got, free_frames);
	assert_int_equal(frame_free_count(), 0);
	assert_int_equal(in_kind(FRAME_PRIVATE), got);
	for (u64 i = 0; i < got; i++) {
		fake_cpu_set((u32)i % 4);
		frame_free(taken[i]);
	}
	assert_int_equal(frame_free_count(), free_frames);
}

static void test_zeroed_is_zero_after_use(void **state)
{
	static const u8 zeros[PAGE_BYTES];

	(void)state;
	for (u32 i = 0; i < 300; i++) {
		pfn_t pfn = frame_alloc_zeroed(FRAME_PRIVATE);

		assert_memory_equal(platform_frame_va(pfn), zeros, PAGE_BYTES);
		memset(platform_frame_va(pfn), 0xff, PAGE_BYTES);
		frame_free(pfn);
	}
	assert_memory_equal(platform_frame_va(frame_zero()), zeros, PAGE_BYTES);
}

static void test_large_is_aligned_and_freed_singly(void **state)
{
	u64 large = frame_free_large_count();
	pfn_t first = frame_alloc_large(FRAME_PRIVATE);

	(void)state;
	assert_true(large > 0);
	assert_int_equal(first.v % REGION_PAGE_COUNT, 0);
	assert_int_equal(frame_free_large_count(), large - 1);
	assert_int_equal(in_kind(FRAME_PRIVATE), REGION_PAGE_COUNT);
	for (u32 i = 0; i < REGION_PAGE_COUNT; i++)
		frame_free(PFN(first.v + i));
	assert_int_equal(in_kind(FRAME_PRIVATE), 0);
}

static void test_large_goes_back_at_once_and_is_whole_again(void **state)
{
	u64 large = frame_free_large_count();
	pfn_t first = frame_alloc_large(FRAME_PRIVATE);

	(void)state;
	frame_put_large(first);
	assert_int_equal(in_kind(FRAME_PRIVATE), 0);
	assert_int_equal(frame_free_large_count(), large);
	assert_int_equal(frame_kind(first), FRAME_FREE);
}

static void test_large_goes_back_but_for_what_is_pinned(void **state)
{
	u64 free_frames = frame_free_count();
	pfn_t first = frame_alloc_large(FRAME_PRIVATE);
	const u32 pinned[] = {0, 21, 22, 511};

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(pinned); i++)
		frame_pin(PFN(first.v + pinned[i]));
	frame_put_large(first);
	assert_int_equal(frame_free_count(), free_frames - ARRAY_COUNT(pinned));
	assert_int_equal(in_kind(FRAME_ORPHAN), ARRAY_COUNT(pinned));
	for (u32 i = 0; i < ARRAY_COUNT(pinned); i++)
		frame_unpin(PFN(first.v + pinned[i]));
	assert_int_equal(frame_free_count(), free_frames);
}

static void test_private_ones_go_back_and_others_are_told(void **state)
{
	u64 free_frames = frame_free_count();
	pfn_t all[6], odd[2];

	(void)state;
	for (u32 i = 0; i < ARRAY_COUNT(all); i++)
		all[i] = frame_alloc(FRAME_PRIVATE);
	odd[0] = all[1];
	odd[1] = all[4];
	frame_pin(odd[0]);
	frame_set_kind(odd[1], FRAME_SHARED);
	assert_int_equal(frame_put_private(all, ARRAY_COUNT(all)), 2);
	assert_int_equal(frame_free_count(), free_frames - 2);
	assert_memory_equal(all, odd, sizeof(odd));
	frame_unpin(odd[0]);
	frame_free(odd[0]);
	frame_free(odd[1]);
}

static void test_large_ones_end_and_small_ones_remain(void **state)
{
	u64 count = frame_free_large_count();

	(void)state;
	for (u64 i = 0; i < count; i++)
		assert_false(pfn_is_none(frame_alloc_large(FRAME_HV)));
	assert_true(pfn_is_none(frame_alloc_large(FRAME_HV)));
	assert_false(pfn_is_none(frame_alloc(FRAME_HV)));
}

static void test_single_frames_leave_whole_regions_whole(void **state)
{
	u64 large = frame_free_large_count();
	u64 loose = frame_free_count() - large * REGION_PAGE_COUNT;

	(void)state;
	/* What is not in whole regions goes first, but for batching. */
	for (u64 i = 0; i + 64 < loose; i++)
		assert_false(pfn_is_none(frame_alloc(FRAME_HV)));
	assert_true(frame_free_large_count() >= large - 1);
}

static void test_runs_are_contiguous_zero_and_may_cross_regions(void **state)
{
	static const u64 sizes[] = {1, 2, 63, 64, 65, 511, 512, 513, 1500};
	static const u8 zeros[PAGE_BYTES];

	(void)state;
	for (u32 s = 0; s < ARRAY_COUNT(sizes); s++) {
		u64 before = frame_free_count();
		pfn_t first = frame_alloc_run(FRAME_HV, sizes[s]);

		assert_false(pfn_is_none(first));
		assert_int_equal(frame_free_count(), before - sizes[s]);
		for (u64 i = 0; i < sizes[s]; i++) {
			assert_int_equal(frame_kind(PFN(first.v + i)), FRAME_HV);
			assert_memory_equal(platform_frame_va(PFN(first.v + i)), zeros, PAGE_BYTES);
		}
		frame_free_run(first, sizes[s]);
		assert_int_equal(frame_free_count(), before);
	}
	assert_true(pfn_is_none(frame_alloc_run(FRAME_HV, RAM_FRAMES + 1)));
}

static void test_references_count(void **state)
{
	pfn_t pfn = frame_alloc(FRAME_SHARED);

	(void)state;
	frame_get(pfn);
	frame_get(pfn);
	assert_false(frame_put(pfn));
	assert_false(frame_put(pfn));
	assert_int_equal(frame_kind(pfn), FRAME_SHARED);
	assert_true(frame_put(pfn));
	assert_int_equal(frame_kind(pfn), FRAME_FREE);
}

static void test_pinned_frame_is_freed_with_its_last_pin(void **state)
{
	pfn_t pfn = frame_alloc(FRAME_PRIVATE);

	(void)state;
	frame_pin(pfn);
	frame_pin(pfn);
	assert_int_equal(frame_pin_count(pfn), 2);
	frame_free(pfn);
	assert_int_equal(frame_kind(pfn), FRAME_ORPHAN);
	assert_int_equal(in_kind(FRAME_ORPHAN), 1);
	memset(platform_frame_va(pfn), 1, PAGE_BYTES); /* a late DMA is harmless */
	frame_unpin(pfn);
	assert_int_equal(frame_kind(pfn), FRAME_ORPHAN);
	frame_unpin(pfn);
	assert_int_equal(frame_kind(pfn), FRAME_FREE);
	assert_int_equal(in_kind(FRAME_ORPHAN), 0);
}

static void test_unpinned_live_frame_stays(void **state)
{
	pfn_t pfn = frame_alloc(FRAME_PRIVATE);

	(void)state;
	frame_pin(pfn);
	frame_unpin(pfn);
	assert_int_equal(frame_kind(pfn), FRAME_PRIVATE);
	frame_pin(frame_zero());
	frame_unpin(frame_zero());
	assert_int_equal(frame_pin_count(frame_zero()), 0);
}

static void test_kind_changes_keep_the_account(void **state)
{
	pfn_t pfn = frame_alloc(FRAME_TABLE_RESERVE);

	(void)state;
	frame_set_kind(pfn, FRAME_TABLE);
	assert_int_equal(in_kind(FRAME_TABLE), 1);
	assert_int_equal(in_kind(FRAME_TABLE_RESERVE), 0);
}

static void act_free(void *pfn)
{
	frame_free(*(pfn_t *)pfn);
}

static void act_get(void *pfn)
{
	frame_get(*(pfn_t *)pfn);
}

static void act_pin(void *pfn)
{
	frame_pin(*(pfn_t *)pfn);
}

static void act_unpin(void *pfn)
{
	frame_unpin(*(pfn_t *)pfn);
}

static void act_set_kind(void *pfn)
{
	frame_set_kind(*(pfn_t *)pfn, FRAME_HV);
}

static void test_misuse_is_caught(void **state)
{
	pfn_t twice = frame_alloc(FRAME_PRIVATE), shared = frame_alloc(FRAME_SHARED);

	(void)state;
	frame_free(twice);
	assert_true(fake_panics(act_free, &twice));
	assert_true(fake_panics(act_set_kind, &twice));
	assert_true(fake_panics(act_get, &twice));
	frame_get(shared);
	assert_true(fake_panics(act_free, &shared)); /* somebody else maps it */
	assert_true(fake_panics(act_unpin, &shared));
}

static void test_pinning_a_free_frame_is_caught(void **state)
{
	pfn_t pfn = frame_alloc(FRAME_PRIVATE);

	(void)state;
	frame_free(pfn);
	assert_true(fake_panics(act_pin, &pfn));
}

/* RAM in pieces: with a hole, with odd edges, with pieces that touch. */
static void test_ram_in_pieces(void **state)
{
	static const struct frame_range ranges[] = {{PFN(0), 159, FRAME_FREE},
		{PFN(256), 100, FRAME_HV}, {PFN(356), 300, FRAME_FREE},
		{PFN(656), 1, FRAME_BOOT_FILES}, {PFN(66000), 1500, FRAME_FREE}};
	static const struct {
		u64 pfn;
		bool ram;
	} cases[] = {{0, true}, {1, true}, {158, true}, {159, false}, {255, false}, {256, true},
		{656, true}, {657, false}, {65999, false}, {66000, true}, {67499, true},
		{67500, false}, {~0ull, false}, {1ull << 40, false}};

	(void)state;
	fake_start(2, ranges, ARRAY_COUNT(ranges));
	for (u32 i = 0; i < ARRAY_COUNT(cases); i++)
		assert_int_equal(frame_is_ram(PFN(cases[i].pfn)), cases[i].ram);
	assert_int_equal(frame_total_count(), 159 + 100 + 300 + 1 + 1500);
	assert_int_equal(frame_kind(PFN(0)), FRAME_HV); /* never given out */
	/* No run spans a hole, and the largest is there. */
	assert_true(pfn_is_none(frame_alloc_run(FRAME_HV, 1501)));
	pfn_t run = frame_alloc_run(FRAME_HV, 900);

	assert_true(run.v >= 66000 && !pfn_is_none(run));
	frame_free_run(run, 900);
	/* What the loader left can be given to the pool later. */
	u64 before = frame_free_count();

	frame_free_run(PFN(656), 1);
	assert_int_equal(frame_free_count(), before + 1);
	assert_true(frame_audit());
	fake_stop();
}

static void test_random_operations_keep_the_account(void **state)
{
	static pfn_t held[2000];
	struct rng rng = {rng_seed(11)};
	u32 count = 0;

	(void)state;
	printf("seed %llu\n", (unsigned long long)rng.state);
	for (u32 step = 0; step < 20000; step++) {
		fake_cpu_set((u32)rng_below(&rng, 4));
		if (count < ARRAY_COUNT(held) && rng_chance(&rng, 52)) {
			pfn_t pfn =
				frame_alloc(FRAME_FREE + 1 + (enum frame_kind)rng_below(&rng, 4));

			if (!pfn_is_none(pfn))
				held[count++] = pfn;
		} else if (count) {
			u32 which = (u32)rng_below(&rng, count);

			frame_free(held[which]);
			held[which] = held[--count];
		}
		if (step % 100 == 0)
			assert_true(frame_audit());
	}
}

static void test_a_wrong_account_fails_the_audit(void **state)
{
	pfn_t pfn = frame_alloc(FRAME_PRIVATE);

	(void)state;
	fake_log_quiet(true);
	frame_get(pfn); /* a private frame has one reference */
	assert_false(frame_audit());
	assert_true(fake_log_count() > 0);
	assert_false(frame_put(pfn));
	assert_true(frame_audit());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_every_free_frame_is_had_once_on_any_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeroed_is_zero_after_use, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_large_goes_back_at_once_and_is_whole_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_large_goes_back_but_for_what_is_pinned, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_private_ones_go_back_and_others_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_large_is_aligned_and_freed_singly, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_large_ones_end_and_small_ones_remain, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_single_frames_leave_whole_regions_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_runs_are_contiguous_zero_and_may_cross_regions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_references_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_pinned_frame_is_freed_with_its_last_pin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unpinned_live_frame_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_kind_changes_keep_the_account, setup, teardown),
		cmocka_unit_test_setup_teardown(test_misuse_is_caught, setup, teardown_broken),
		cmocka_unit_test_setup_teardown(
			test_pinning_a_free_frame_is_caught, setup, teardown_broken),
		cmocka_unit_test(test_ram_in_pieces),
		cmocka_unit_test_setup_teardown(
			test_random_operations_keep_the_account, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_wrong_account_fails_the_audit, setup, teardown),
	};

	return cmocka_run_group_tests_name("unit/frame", tests, NULL, NULL);
}
